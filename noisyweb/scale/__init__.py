"""The stages over several processes or machines: the same pure functions, run by an `Engine`.

A stage is cut into shards: small, independent, named pieces of work. A shard function takes what its shard says and
gives rows; it keeps nothing and may run anywhere, any number of times. What comes of a shard is one Parquet file beside
the workspace's tables (`noisyweb.scale.parts`), so that a shard is done when its file is there, whoever was killed.
"""

from noisyweb.scale.engine import open_engine

__all__ = ["open_engine"]
