"""Where candidates come from: one file a provider.

Each plug-in has ``SUMMARY`` (one line of help) and one function::

    def search(query: Query, client: httpx.AsyncClient, options: Mapping[str, str]) -> AsyncIterator[Hit]

(an ``async`` generator) which yields hits best first until there are no more; the crawler stops asking when
a class has enough. It raises `noisyweb.errors.CrawlError` when the provider cannot go on at all: the crawler
then asks it nothing more in this run. `Query` and `Hit` are in `noisyweb.providers._protocol`.

A provider whose images are not on the web also has::

    def read(url: str, options: Mapping[str, str]) -> bytes

which the crawler calls instead of fetching the URL; it raises OSError if that image cannot be read.
To add a provider, add a file.
"""
