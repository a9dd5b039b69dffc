"""What files of votes look like: one file a format, told apart by their columns or chosen by ``--format``.

Each plug-in has ``SUMMARY`` (one line: the columns that it expects), ``OPTIONS`` (the names of its own options, often
none) and two functions::

    def fits(file: VoteFile) -> bool
    def read(file: VoteFile, book: Book, options: Mapping[str, str]) -> None

``fits`` looks at the kind and the columns of a file and says whether it is of this format; of all formats, exactly one
must say so. ``read`` goes through the rows (`noisyweb.vote_formats._file`, `noisyweb.vote_formats._row`) and tells the
book (`noisyweb.vote_formats._book`) what each says, or that it says nothing. It raises `noisyweb.errors.LabelError`
where a row cannot be understood; whether the images, classes and answers are known is the book's business. To add a
format, add a file.
"""
