"""What all workers of a crawl do alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from noisyweb.addresses import AddressPolicy
from noisyweb.fetch import Limits
from noisyweb.image_work import ImageWork
from noisyweb.providers._protocol import HostLimit


@dataclass(frozen=True)
class FetchSetting:
    """What all workers of a crawl do alike; see `noisyweb.crawl.crawl`.

    Attributes:
        run_id: of the crawl: what a worker has open for another one is of no use to it.
        num_buckets: into which hosts are dealt.
        archive_url: None: dead images are not looked up.
        decoders: processes a worker that decode.
    """

    run_id: str
    policy: AddressPolicy
    limits: Limits
    images: ImageWork
    host_limits: Mapping[str, HostLimit]
    num_buckets: int
    archive_url: str | None = None
    decoders: int = 1
