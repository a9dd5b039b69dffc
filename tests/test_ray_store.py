"""The road of the data on a Ray cluster and an object store, both real, which fail in the midst of each stage.

crawl -> dedup -> build -> export -> train, and the tables and files of a local run. In each stage but the last the
store is away for ten seconds: busy, or it resets connections. A worker and a machine are killed in the crawl, and in
all other shards by `tests.test_ray_kills`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from noisyweb.consensus import update
from noisyweb.crawl import crawl
from noisyweb.crawl_plan import CrawlPlan, Provider
from noisyweb.dedup import dedup
from noisyweb.export import Options, export_builds, open_builds
from noisyweb.fetch import Limits
from noisyweb.hosts import Pace
from noisyweb.remote_path import RemotePath
from noisyweb.scale.engine import ITEM, Engine, Event
from noisyweb.scale.ray import RayEngine
from noisyweb.scale.spread_dedup import Sizes
from noisyweb.scale.tar_shards import export_webdataset
from noisyweb.workspace import CRAWL_TABLES, Workspace
from tests.conftest import CLASSES, Program, TinySet
from tests.web import HostileWeb

for package in ("ray", "s3fs", "moto", "flask", "flask_cors"):
    pytest.importorskip(package, reason="pip install 'noisyweb[dev]'")

from tests.ray_cluster import RayCluster  # noqa: E402
from tests.s3_server import DROP, LOSE, S3Server  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(290)]

BUCKET = "scale"
LIMITS = Limits(pace=Pace(concurrency=4, rate=0, failures=1000), connections=4, tries=2, backoff_s=0.01)
DEDUP_TABLES = ("hashes", "views", "duplicates")


@pytest.fixture(scope="module")
def cluster(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("NOISYWEB_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
        with RayCluster(2, s3.environment) as started:
            yield started


class Away:
    """What a store answers that is away for ten seconds, from the first request of a method with a word in its path.

    Attributes:
        said: how often it said what meanwhile.
    """

    def __init__(self, method: str, word: str) -> None:
        self._method, self._word, self._end_s = method, word, 0.0
        self._turns = cycle((503, DROP, LOSE))
        self.said: Counter[int] = Counter()

    def __call__(self, method: str, path: str) -> int | None:
        if not self._end_s and method == self._method and self._word in path:
            self._end_s = time.monotonic() + 10
        if time.monotonic() >= self._end_s:
            return None
        answer = next(self._turns)
        self.said[answer] += 1
        return answer

    @property
    def was_all(self) -> bool:
        """Whether it was busy, and has reset connections both before and after it served a request."""
        return min(self.said[answer] for answer in (503, DROP, LOSE)) > 0


class Killing(RayEngine):
    """Kills a worker that fetches after 3 events, and a whole machine after 6; another one joins."""

    def __init__(self, cluster: RayCluster) -> None:
        super().__init__(cluster.address)
        self.cluster, self.heard = cluster, 0
        self.killed: list[str] = []

    def wait(self, timeout_s: float | None = None) -> Event | None:
        event = super().wait(timeout_s)
        self.heard += event is not None and event.kind == ITEM
        if self.heard >= 3 and "worker" not in self.killed and self.cluster.kill_worker("fetch"):
            self.killed.append("worker")
        if self.heard >= 6 and "node" not in self.killed and self.cluster.kill_node("fetch"):
            self.cluster.add_node()
            self.killed.append("node")
        return event


def urls_of(webs: list[HostileWeb]) -> list[str]:
    """Different images, the same image at two addresses, images that are not there."""
    urls = [web.url(f"ok/{100 * n + m}") for n, web in enumerate(webs) for m in range(40)]
    urls += [web.url(f"ok/{m}?again") for web in webs for m in range(2)]
    return [*urls, *(web.url("status/404") for web in webs)]


def crawled(place: Workspace, urls: Path, engine: Engine | None) -> None:
    plan = CrawlPlan(CLASSES, [Provider("url-list", {"path": str(urls)})], None)
    asyncio.run(crawl(place, plan, allow_loopback=True, limits=LIMITS, processes=1, engine=engine))


def judged(place: Workspace) -> None:
    """Three annotators say that all images are wrong."""
    dropped = {(row["image_id"], row["label"]) for row in place.read("duplicates").to_pylist()}
    found = {(row["image_id"], row["label"]) for row in place.read("images").to_pylist() if row["image_id"]}
    with place.locked(), place.journal("votes") as votes:
        for image_id, label in sorted(found - dropped):
            for annotator in ("ann", "bob", "cai"):
                vote = {"image_id": image_id, "label": label, "annotator": annotator, "answer": "no"}
                votes.add({**vote, "backend": "file"})
    update(place)


def test_the_whole_road(s3: S3Server, cluster: RayCluster, tiny: TinySet, noisyweb: Program, tmp_path: Path) -> None:
    here, there = Workspace(tmp_path / "w", create=True), Workspace(f"s3://{BUCKET}/w", create=True)
    with HostileWeb() as a, HostileWeb() as b, HostileWeb() as c:
        webs = [a, b, c]
        urls = tmp_path / "urls.csv"
        listed = [f"{url},{CLASSES[n % 3]}\n" for n, url in enumerate(urls_of(webs))]
        urls.write_text("".join(["url,class\n", *listed]))
        crawled(here, urls, None)
        for web in webs:
            web.requests.clear()
        s3.answer = away = Away("PUT", "/w/store/")
        with Killing(cluster) as engine:
            crawled(there, urls, engine)
        assert away.was_all
        assert engine.killed == ["worker", "node"]
        requests = sum((web.requests for web in webs), Counter())
    for name in CRAWL_TABLES:
        assert there.read(name).equals(here.read(name)), name
    twice = sum(count - 1 for path, count in requests.items() if path.startswith("/ok/"))
    assert twice <= 2 * 3 * 12 + 6, "what was in flight at two kills, and the same path asked for as two URLs"

    dedup(here)
    s3.answer = away = Away("PUT", "/parts/dedup/describe-")
    with RayEngine(cluster.address) as engine:
        dedup(there, engine=engine, sizes=Sizes(images=15, hashes=50, views=300, proofs=20))
    assert away.was_all
    assert (engine.tally.num_retried, engine.tally.num_aside) == (0, 0), "a minute's patience is enough"
    for name in DEDUP_TABLES:
        assert there.read(name).equals(here.read(name)), name
    assert there.read("duplicates").num_rows == 4, "the same bytes in two classes"

    for place in (here, there):
        judged(place)
    s3.answer = away = Away("PUT", "/builds/")
    options = ("--dataset", tiny.toml, "--noise", "0.4", "--no-leak-check")
    for place, out in ((tmp_path / "w", tmp_path / "builds"), (f"s3://{BUCKET}/w", f"s3://{BUCKET}/builds")):
        done = noisyweb("build", *options, "--workspace", place, "--out", out)
        assert done.returncode == 0, done.stderr
    assert away.was_all
    build = f"s3://{BUCKET}/builds/tiny/red_noise_nl_0.4"
    shard = "train-00000-of-00001.parquet"
    assert (RemotePath(build) / shard).read_bytes() == (tmp_path / "builds/tiny/red_noise_nl_0.4" / shard).read_bytes()

    shards = Options(shard_bytes=20_000)
    (tmp_path / "tars").mkdir()
    export_builds(open_builds(tmp_path / "builds/tiny"), "webdataset", tmp_path / "tars", shards)
    s3.answer = away = Away("PUT", ".tar")
    with RayEngine(cluster.address) as engine:
        export_webdataset(engine, open_builds(RemotePath(f"s3://{BUCKET}/builds/tiny")), _at("tars"), shards)
    assert away.was_all
    exported = {name: file.read_bytes() for name, file in _at("tars").files().items()}
    assert exported == {
        str(file.relative_to(tmp_path / "tars")): file.read_bytes()
        for file in (tmp_path / "tars").rglob("*")
        if file.is_file()
    }

    quick = ("--epochs", "1", "--batch-size", "8", "--image-size", "16", "--device", "cpu", "--data", "stream")
    runs = []
    for manifest, run in ((tmp_path / "builds/tiny/red_noise_nl_0.4", "a"), (build, "b")):
        done = noisyweb("train", "--manifest", manifest, *quick, "--out", tmp_path / run)
        assert done.returncode == 0, done.stderr
        (row,) = (tmp_path / run / "metrics.jsonl").read_text().splitlines()
        runs.append({name: value for name, value in json.loads(row).items() if name not in ("seconds", "images_per_s")})
    assert runs[0] == runs[1]


def _at(name: str) -> RemotePath:
    return RemotePath(f"s3://{BUCKET}/{name}")
