"""The official edition: the release of Controlled Noisy Web Labels (Jiang et al., ICML 2020), as it is on disk.

In reading order: `home` (where it lies), `download`, `unpack` and `fetch_release` (how it came there), `split_file` and
`release` (class names and splits), `annotations` (which web image is right), `web_images` (what became of them),
`refill` (stand-ins for dead ones), `edition` (a split, as rows).

The release holds no images. Clean ones are the user's own copy (`noisyweb.clean_copies`), web images come from a crawl
of the annotations' URLs; without either, rows carry a path only.
"""
