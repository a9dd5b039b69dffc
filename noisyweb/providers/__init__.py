"""Where candidates come from: one file a provider.

A search API has ``SUMMARY`` (one line of help), and two functions::

    def limits(options: Options) -> ApiLimits
    async def search(query: Query, api: Api, cursor: str | None) -> Page

``search`` asks for one page: the first where ``cursor`` is None, else the one that an earlier page named as
``next``. Everything it needs to know is in the query and the cursor, so that a search goes on in a later run where
it stopped. It raises `noisyweb.errors.CrawlError` when the provider cannot go on at all: the crawler then asks it
nothing more in this run. All requests go through ``api`` (`noisyweb.providers._api`), which paces them, tries again
what may pass, and keeps keys out of messages. Optional, with their defaults::

    KEYS: Mapping[str, bool] = {}    names of keys (options such as "api_key") and whether they are required
    LICENSES: Collection[str] | None = every slug; the licences it can filter by; None: it knows no licences
    SAYS_LICENSE = True              whether its hits name their licences; False: it filters, and says nothing
    RELATED = False                  whether it takes Query.similar_to
    HOSTS: Mapping[str, HostLimit] = {}    what the hosts of its images ask of crawlers

A list of images that are known already has, instead of ``limits`` and ``search``::

    def listing(class_names: Sequence[str], options: Options) -> Iterator[tuple[int, Hit]]

which yields labels and hits in the list's order, without holding the whole list. Where its images are not on the web
there is also::

    def read(url: str, options: Options) -> bytes

which the crawler calls instead of fetching the URL; it raises OSError if that image cannot be read.
To add a provider, add a file.
"""
