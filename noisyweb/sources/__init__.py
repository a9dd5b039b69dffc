"""Where labelled images come from: one file a format, chosen by ``format = "..."`` in a data-set definition.

Each plug-in has one function::

    def read(section: Section) -> ImageSet

It reads what a ``[train]``, ``[validation]`` or ``[pool]`` section describes. To add a format, add a file.
"""
