"""Where votes come from: one file a labelling backend.

Each plug-in has one function::

    def collect(questions: pa.Table, options: Mapping[str, str]) -> Iterator[pa.Table]

``questions`` has the columns image_id, label, class_name and url; what it yields are tables of
`noisyweb.schemas.VOTES`. To add a backend, add a file.
"""
