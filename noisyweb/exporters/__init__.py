"""Other tools' formats: one file an exporter, chosen by ``noisyweb export --to``.

Each plug-in has ``SUMMARY`` (one line of help) and one function::

    def export(manifest: Manifest, target: Path) -> None

``target`` is an empty temporary folder that becomes the result once the function returns.
"""
