"""noisyweb: label noise the way the web makes it.

The library follows the road of the data; each step is a plain function over tables:

    class names --crawl--> candidates --fetch--> images --dedup--> unique images
        --label--> votes --consensus--> verdicts --blend--> manifests --> train

Importing this package pulls in no heavy library: name the module you need
(``noisyweb.build``, ``noisyweb.data``, ``noisyweb.manifest``, ...).
"""

__version__ = "0.1.0"
