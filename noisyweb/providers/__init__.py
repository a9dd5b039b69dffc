"""Where candidates come from: one file a provider.

Each plug-in has one function::

    async def search(query: Query, client: httpx.AsyncClient, options: Mapping[str, str]) -> AsyncIterator[Hit]

which yields hits best first until there are no more; the crawler stops asking when a class has enough.
To add a provider, add a file.
"""
