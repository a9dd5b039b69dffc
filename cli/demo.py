"""``noisyweb demo``: the whole road in one command."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from noisyweb.build_folder import Built
    from noisyweb.cli._bars import Bars
    from noisyweb.workspace import Workspace

CLASSES = (
    "Audi S4 Sedan 2012",
    "Audi TT RS Coupe 2012",
    "BMW M3 Coupe 2012",
    "BMW X5 SUV 2007",
    "Chevrolet Corvette Convertible 2012",
    "Chevrolet Silverado 1500 Extended Cab 2012",
    "Dodge Caravan Minivan 1997",
    "Ferrari California Convertible 2012",
    "Ford F-150 Regular Cab 2012",
    "Jeep Wrangler SUV 2012",
    "Mercedes-Benz Sprinter Van 2012",
    "Volkswagen Golf Hatchback 2012",
)
LEVEL = "0.4"
METHODS = ("standard", "mentormix")
NOTICE = (
    "Everything here is drawn by code and judged by simulated annotators. It shows that the road works; "
    "it says nothing about real web images."
)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Of the votes, the blend and the training.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training set.")] = 80,
) -> None:
    """Walk the whole road on a loopback web, in about a minute.

    Starts a search API and image hosts over the drawn edition on free ports of this machine, crawls 12 classes over
    HTTP, drops duplicates and leaks, collects simulated votes, blends red noise at 0.4, trains plain cross-entropy
    and MentorMix, and leaves a contact sheet and a page (summary.html) that tells all of it.

    Example:

      noisyweb demo --out demo
    """
    from noisyweb.cli._bars import bars
    from noisyweb.drawn.server import serve
    from noisyweb.drawn.subset import write_subset
    from noisyweb.workspace import Workspace

    _make_room(out)
    watch = _Watch()
    with bars() as progress:
        with watch("draw the clean set"):
            definition = write_subset(out, CLASSES, "demo", "workspace")
        workspace = Workspace(out / "workspace", create=True)
        with watch("crawl, dedup, vote"), serve(CLASSES) as web:
            progress.say(f"a web of {len(web.served):,} drawn hits at {web.search_url}")
            _crawl(workspace, web.api_url, progress)
            _dedup(workspace, definition, progress)
            _vote(workspace, web.truth(), out, seed, progress)
        with watch("blend"):
            built = _blend(definition, out, seed, progress)
        runs = {}
        for method in METHODS:
            with watch(f"train {method}"):
                runs[method] = _train(built.folder, method, out, seed, epochs, progress)
        _tell(out, workspace, built, runs, watch.seconds)
    typer.echo(f"{out / 'summary.html'}: the whole road on one page; {sum(watch.seconds.values()):.0f} s")


def _make_room(out: Path) -> None:
    """Take an empty folder, or the folder of an earlier demo, which is made anew."""
    import shutil

    from noisyweb.atomic import disk_errors
    from noisyweb.errors import OutputError

    with disk_errors(out):
        if out.is_dir() and any(out.iterdir()):
            if not (out / "demo.toml").exists():
                raise OutputError(f"{out}: it holds something that is no demo; name another folder with --out")
            shutil.rmtree(out)
        out.mkdir(parents=True, exist_ok=True)


class _Watch:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start


def _crawl(workspace: Workspace, base_url: str, progress: Bars) -> None:
    import asyncio

    from noisyweb.crawl import crawl
    from noisyweb.crawl_plan import CrawlPlan, Provider
    from noisyweb.crawl_stats import CrawlStats
    from noisyweb.fetch import Limits
    from noisyweb.hosts import Pace

    limits = Limits(pace=Pace(concurrency=8, rate=0), total_s=2.0, read_s=2.0, tries=1)
    plan = CrawlPlan(CLASSES, [Provider("openverse", {"base_url": base_url})], per_class=400)
    job = crawl(workspace, plan, allow_loopback=True, limits=limits, stats=CrawlStats(progress=progress))
    progress.say("\n".join(asyncio.run(job).lines()[:2]))


def _dedup(workspace: Workspace, definition: Path, progress: Bars) -> None:
    from noisyweb.dataset import read_definition
    from noisyweb.dedup import dedup

    dataset = read_definition(definition)
    # Drawn images are made of the same few shapes: only their hashes tell copies from others.
    report = dedup(workspace, dataset.train(), dataset.validation(), views=False, progress=progress)
    progress.say("\n".join(report.lines()[:2]))


def _vote(workspace: Workspace, truth: Any, out: Path, seed: int, progress: Bars) -> None:
    import pyarrow.parquet as pq

    from noisyweb import plugins
    from noisyweb.consensus import summary, update
    from noisyweb.votes import add, questions

    pq.write_table(truth, out / "truth.parquet")
    backend = plugins.load("noisyweb.labelling", "labelling backend", "simulated")
    with workspace.locked():
        options = {"truth": str(out / "truth.parquet"), "seed": str(seed)}
        add(workspace, backend.collect(questions(workspace), options))
        update(workspace, min_votes=3)
    for line in summary(workspace.read("votes"), workspace.read("verdicts")):
        progress.say(line)


def _blend(definition: Path, out: Path, seed: int, progress: Bars) -> Built:
    from noisyweb.build import Recipe, build
    from noisyweb.cli._built import summary
    from noisyweb.dataset import read_definition
    from noisyweb.levels import parse_level

    levels = [parse_level(LEVEL)]
    dataset = read_definition(definition)
    *_, built = build(dataset, Recipe.of("red", levels, seed), out=out / "builds", progress=progress)
    progress.say(summary(built, str(out)))
    return built


def _train(folder: Path, method: str, out: Path, seed: int, epochs: int, progress: Bars) -> dict[str, Any]:
    from noisyweb.cli._extras import training_extra

    with training_extra("the training at the end of the demo"):
        from noisyweb.training.config import Wishes
        from noisyweb.training.run import make_plan, run
    wishes = Wishes(method=method, epochs=epochs, seed=seed, image_size=48, device="cpu")
    plan = make_plan(folder, wishes, out=out / "runs" / method)

    summary = run(plan, progress=lambda what, done, total: progress(f"{what} ({method})", done, total))
    progress.say(f"{method}: validation accuracy {summary['final_val_accuracy']:.1%} (chance {summary['chance']:.1%})")
    return summary


def _tell(
    out: Path, workspace: Workspace, built: Built, runs: dict[str, dict[str, Any]], seconds: dict[str, float]
) -> None:
    from noisyweb.atomic import replacing_file
    from noisyweb.funnel import funnel
    from noisyweb.manifest import open_manifest
    from noisyweb.show import choose_rows, contact_sheet
    from noisyweb.summary_page import STEPS, Story, page

    manifest = open_manifest(built.folder)
    sheet = contact_sheet(manifest, choose_rows(manifest.rows, 48, seed=0))
    with replacing_file(out / "contact-sheet.png") as temporary:
        sheet.save(temporary, "PNG")
    counts = {**funnel(workspace), "used": built.noise["web"]}
    failed = (row for row in workspace.read("images").to_pylist() if row["status"] == "failed")
    dropped = Counter(f"not fetched: {row['reason']}" for row in failed)
    for row in workspace.read("duplicates").to_pylist():
        dropped[f"{row['kind']} copy of a {row['against']} image"] += 1
    dropped["same bytes as another image"] = (
        counts["fetched"] - counts["unique"] - workspace.read("duplicates").num_rows
    )
    dropped["no verdict: the votes tie"] = counts["unique"] - counts["decided"]
    dropped["judged right: no noise in it"] = counts["decided"] - counts["wrong"]
    dropped["judged wrong, not needed at this level"] = counts["wrong"] - counts["used"]
    story = Story(
        title="noisyweb demo: from 12 class names to a training set with 40% web noise",
        notice=NOTICE,
        funnel={step: counts[step] for step in STEPS},
        dropped=+dropped,
        built=[
            ("folder", str(built.folder.relative_to(out))),
            ("images", f"{built.num_rows:,}"),
            ("wrong labels asked", f"{built.num_wrong_asked:,} ({LEVEL})"),
            ("wrong labels realised", f"{built.num_wrong:,}"),
        ],
        runs={m: (s["final_val_accuracy"], s["peak_val_accuracy"], s["seconds"]) for m, s in runs.items()},
        chance=next(iter(runs.values()))["chance"],
        sheet_png=(out / "contact-sheet.png").read_bytes(),
        seconds=seconds,
    )
    with replacing_file(out / "summary.html") as temporary:
        temporary.write_text(page(story), encoding="utf-8")
