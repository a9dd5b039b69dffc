"""Crawl: class names -> candidates -> fetched images, in a workspace.

Both halves (`noisyweb.crawl_search`, `noisyweb.crawl_images`) journal each row as it comes. A killed crawl loses
the downloads in flight and nothing else; the same call again asks only what is still open.
"""

from __future__ import annotations

from collections.abc import Sequence

from noisyweb import plugins
from noisyweb.crawl_images import fetch_all
from noisyweb.crawl_report import CrawlReport, crawl_report
from noisyweb.crawl_search import Provider, search_all
from noisyweb.decode import pillow_in_bounds
from noisyweb.errors import CrawlError
from noisyweb.fetch import Fetcher, Limits
from noisyweb.progress import Progress, silent
from noisyweb.workspace import Workspace


async def crawl(
    workspace: Workspace,
    class_names: Sequence[str],
    providers: Sequence[Provider],
    per_class: int,
    *,
    templates: Sequence[str] = ("{name}",),
    licenses: Sequence[str] = (),
    contact: str | None = None,
    allow_loopback: bool = False,
    limits: Limits | None = None,
    min_side: int = 32,
    progress: Progress = silent,
) -> CrawlReport:
    """Search for every class's images and fetch them.

    Args:
        workspace: where rows and images go; its vocabulary is set to ``class_names``.
        class_names: what to look for; labels are indices into it.
        providers: whom to ask.
        per_class: candidates wanted per class, those of earlier runs included.
        templates: queries, with ``{name}`` for the class name.
        licenses: the only licences to accept; empty: any.
        contact: mail address or web page of the user; public hosts are not talked to without one.
        allow_loopback: also talk to this machine.
        limits: sizes, times and paces.
        min_side: pixels that both sides of an image must have.
        progress: told of classes searched and URLs done.

    Raises:
        CrawlError: no contact for a public host, or a template without ``{name}``.
        SourceError: the workspace holds another vocabulary, or another process writes to it.
    """
    for template in templates:
        if "{name}" not in template:
            raise CrawlError(f"query template {template!r}: it has no {{name}}; write, say, '{{name}} car'")
    with workspace.locked(), pillow_in_bounds():
        workspace.set_class_names(class_names)
        async with Fetcher(contact=contact, allow_loopback=allow_loopback, limits=limits) as fetcher:
            problems = await search_all(
                workspace,
                class_names,
                providers,
                per_class,
                templates=templates,
                licenses=licenses,
                client=fetcher.client,
                progress=progress,
            )
            num_retried = await fetch_all(workspace, providers, fetcher, min_side=min_side, progress=progress)
        return crawl_report(workspace, problems, num_retried)


def provider_choices(sources: Sequence[str], base_url: str | None = None) -> list[Provider]:
    """Providers from what a user wrote: ``NAME`` or ``NAME=PATH``, several with commas between.

    Raises:
        UnknownNameError: there is no such provider.
    """
    chosen = []
    for part in (part.strip() for source in sources for part in source.split(",")):
        name, has_path, path = part.partition("=")
        plugins.load("noisyweb.providers", "provider", name)
        options = {"path": path} if has_path else {}
        if base_url is not None and not has_path:
            options["base_url"] = base_url
        chosen.append(Provider(name, options))
    return chosen
