"""Other tools' formats: one file an exporter, chosen by ``noisyweb export --to``.

Each plug-in has ``SUMMARY`` (one line of help) and one function::

    def export(builds: Builds, target: Path, options: Options) -> list[str]

``builds`` are the training sets and the clean validation set, see `noisyweb.export`. ``target`` is an empty
temporary folder that becomes the result once the function returns: it writes there, never holding more than a row group
of images in memory. It returns what the user should know, one line each.

Formats that need the pixels refuse rows that carry only a path (`noisyweb.exporters._images`); the others go on. File
names are made of cleaned class names and ids only. The same builds give the same bytes.
"""
