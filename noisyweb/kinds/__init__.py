"""The kinds of noise: one file a kind.

Each plug-in has ``NOISE`` (the value of the manifest's ``noise`` column), ``SUMMARY`` (one line for
``noisyweb build --help``) and one function::

    def plan(source: BlendInput, seed: int) -> Plan

which decides, once for all levels, in which order the rows of each class turn wrong and into what
(`noisyweb.plan`). To add a kind, add a file.
"""
