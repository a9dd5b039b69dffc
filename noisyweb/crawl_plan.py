"""What a crawl is to do, checked before anything is asked, and what it will cost: `noisyweb crawl --dry-run`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from noisyweb import plugins
from noisyweb.crawl_queries import Wording
from noisyweb.errors import CrawlError
from noisyweb.keys import provider_keys
from noisyweb.providers._protocol import ApiLimits
from noisyweb.urls import host_of

PACKAGE = "noisyweb.providers"
DEFAULT_PER_CLASS = 100
MIN_SIDE = 32
_A = {"minute": "a minute", "hour": "an hour", "day": "a day"}
_PERIOD_S = {"minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True)
class Provider:
    """One provider to ask: its plug-in's name and its options, keys included."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def module(self) -> ModuleType:
        """Its plug-in; see `noisyweb.providers`."""
        return plugins.load(PACKAGE, "provider", self.name)

    @property
    def is_list(self) -> bool:
        """Whether its images are known already and need no search."""
        return hasattr(self.module, "listing")


@dataclass(frozen=True)
class CrawlPlan:
    """What a crawl is to do.

    Attributes:
        class_names: what to look for; labels are indices into it.
        providers: whom to ask.
        per_class: candidates wanted per class, those of earlier runs included; None: 100 from searches, and all
            that lists have.
        wording: how queries are made of class names.
        licenses: the only licences to accept; empty: any.
        related: share of a class's candidates to be found by image-to-image search.
        image_size: pixels of the shorter side to which larger images are reduced; None: originals are kept.
        min_side: pixels that both sides of an image must have.
        decode: False stores bytes unseen.
        archive: where dead images are looked up, "" for the Internet Archive; None: nowhere.
        refresh: also ask whether finished images have changed.
    """

    class_names: Sequence[str]
    providers: Sequence[Provider]
    per_class: int | None = None
    wording: Wording = field(default_factory=Wording)
    licenses: tuple[str, ...] = ()
    related: float = 0.0
    image_size: int | None = None
    min_side: int = MIN_SIDE
    decode: bool = True
    archive: str | None = None
    refresh: bool = False

    @property
    def searched(self) -> list[Provider]:
        """Providers with a search API."""
        return [provider for provider in self.providers if not provider.is_list]

    @property
    def listed(self) -> list[Provider]:
        """Lists and folders."""
        return [provider for provider in self.providers if provider.is_list]

    @property
    def per_class_searched(self) -> int:
        """Candidates wanted per class from searches."""
        return DEFAULT_PER_CLASS if self.per_class is None else self.per_class

    def unread(self, readers: Collection[str]) -> list[str]:
        """Providers of local files that are not among this run's."""
        local = [n for n in plugins.names(PACKAGE) if hasattr(plugins.load(PACKAGE, "provider", n), "read")]
        return [name for name in local if name not in readers]

    def check(self) -> None:
        """Raise what can be known beforehand.

        Raises:
            CrawlError: a licence filter that a provider does not have, or image-to-image search without a provider
                that has it.
        """
        for provider in self.providers if self.licenses else ():
            known = getattr(provider.module, "LICENSES", self.licenses)
            if known is None:
                raise CrawlError(
                    f"{provider.name}: it knows no licences to filter by; leave out --license or this source"
                )
            unknown = [name for name in self.licenses if name not in known]
            if unknown:
                raise CrawlError(
                    f"{provider.name}: it knows no licence {unknown[0]!r}; known: {', '.join(sorted(known))}"
                )
        if self.related and not any(getattr(p.module, "RELATED", False) for p in self.searched):
            raise CrawlError("--related: none of these sources has image-to-image search; openverse has")
        if not self.decode and (self.image_size is not None or self.min_side != MIN_SIDE):
            raise CrawlError("--no-decode: images are stored unseen; leave out --image-size and --min-side")
        if not 0 <= self.related < 1:
            raise CrawlError(f"--related {self.related:g}: expected a share from 0 up to, not including, 1")

    def lines(self) -> list[str]:
        """What would be asked of whom, against each API's limit; lists are read, and may raise as in a crawl."""
        lines = [f"{len(self.class_names):,} classes"]
        queries = {name: self.wording.queries(name) for name in self.class_names}
        for provider in self.listed:
            urls = [hit.url for _, hit in provider.module.listing(self.class_names, provider.options)]
            hosts = len({host_of(url) for url in urls} - {""})
            of = f" on {hosts:,} host{'s' if hosts != 1 else ''}" if hosts else ""
            said = f"{len(urls):,} image{'s' if len(urls) != 1 else ''}{of}, no requests to an API"
            lines.append(f"{provider.name}: {provider.options.get('path', '')}, {said}")
        num_per_class = [len(texts) * max(1, len(self.searched)) for texts in queries.values()]
        for provider in self.searched:
            limits: ApiLimits = provider.module.limits(provider.options)
            share = [-(-self.per_class_searched // number) for number in num_per_class]
            requests = sum(
                len(texts) * _requests(hits, limits) for texts, hits in zip(queries.values(), share, strict=True)
            )
            related = ""
            if self.related and getattr(provider.module, "RELATED", False):
                more = len(queries) * -(-round(self.per_class_searched * self.related) // 10)
                requests, related = requests + more, f", {more:,} of them image-to-image"
            num_queries = sum(len(texts) for texts in queries.values())
            lines.append(f"{provider.name}: {num_queries:,} queries, about {requests:,} requests{related}")
            lines += [f"  {line}" for line in _quota_lines(requests, limits)]
        if self.searched:
            lines.append("queries:")
            shown = [text for texts in list(queries.values())[:5] for text in texts][:10]
            lines += [f"  {text}" for text in shown]
            left = sum(len(texts) for texts in queries.values()) - len(shown)
            lines += [f"  and {left:,} more"] if left else []
        return lines


def _requests(hits: int, limits: ApiLimits) -> int:
    hits = hits if limits.max_hits is None else min(hits, limits.max_hits)
    return max(1, -(-hits // limits.page_size))


def _quota_lines(requests: int, limits: ApiLimits) -> list[str]:
    lines = []
    if limits.quota:
        said = ", ".join(f"{number:,} {_A[period]}" for number, period in limits.quota)
        seconds = max((-(-requests // number) - 1) * _PERIOD_S[period] for number, period in limits.quota)
        fits = "fits" if not seconds else f"takes about {_duration(seconds)}; run the same command again when it stops"
        lines.append(f"its limit: {said}: {fits}")
    if limits.note:
        lines.append(limits.note)
    return lines


def _duration(seconds: int) -> str:
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            number = -(-seconds // length)
            return f"{number} {name}{'s' if number > 1 else ''}"
    return f"{seconds} seconds"


def provider_choices(
    sources: Sequence[str],
    *,
    base_urls: Mapping[str, str] | None = None,
    keys: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[Provider]:
    """Providers from what a user wrote: ``NAME`` or ``NAME=PATH``, several with commas between.

    Args:
        sources: what was written.
        base_urls: other addresses of providers' APIs.
        keys: a file of keys; None: the user's own.
        environ: environment variables, which come before the file.

    Raises:
        UnknownNameError: there is no such provider.
        CrawlError: a key is missing.
    """
    chosen = []
    for part in (part.strip() for source in sources for part in source.split(",")):
        name, has_path, path = part.partition("=")
        module = plugins.load(PACKAGE, "provider", name)
        options = {"path": path} if has_path else {}
        if base_urls and name in base_urls:
            options["base_url"] = base_urls[name]
        options.update(provider_keys(name, getattr(module, "KEYS", {}), keys, environ or {}))
        chosen.append(Provider(name, options))
    return chosen
