"""The program on a real Ray cluster and an object store, killed in the midst of every kind of shard.

While the first results of a kind wait at the store's door, a worker is killed that runs a shard of it, and then a whole
machine that runs one; so all of these were running. The driver is killed once one result is in and the next one waits.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from noisyweb.export import Options, export_builds, open_builds
from noisyweb.remote_path import RemotePath
from tests.conftest import PROGRAM, Program
from tests.export_builds import write_builds
from tests.test_dedup import workspace
from tests.test_spread_dedup import images
from tests.web import photo

for package in ("ray", "s3fs", "moto", "flask", "flask_cors", "torch"):
    pytest.importorskip(package, reason="pip install 'noisyweb[dev]'")

from tests.ray_cluster import RayCluster  # noqa: E402  needs Ray's program
from tests.s3_server import DROP, S3Server  # noqa: E402
from tests.test_embedding import MODEL  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(290)]

BUCKET = "kills"
PART = re.compile(r"/([a-z]+)(-[0-9a-f]{24})?/[0-9-]+\.parquet$")
DEDUP = ("describe", "pairs", "candidates", "proofs", "embed", "cosines")
DEDUP_TABLES = ("hashes", "views", "embeddings", "duplicates")
SIZES = "images=32,hashes=40,views=40,proofs=12"
EXPORT = ("sizes", "tars")
SHARD_BYTES = 12_000


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all processes put their temporary files; what they are asked to load is beside."""
    folder = tmp_path_factory.mktemp("scratch")
    (folder / "my_models.py").write_text(MODEL)
    (folder / "tmp").mkdir()
    return folder


@pytest.fixture(scope="module")
def cluster(s3: S3Server, scratch: Path) -> Iterator[RayCluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("NOISYWEB_SCRATCH", str(scratch))
        path = os.pathsep.join([str(scratch), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**s3.environment, "TMPDIR": str(scratch / "tmp"), "PYTHONPATH": path}
        with RayCluster(2, environment) as started:
            yield started


@dataclass
class Killing:
    """What the store answers to the results of some kinds of shards.

    Attributes:
        s3: which asks.
        cluster: whose workers and machines are killed.
        steps: for each kind, what is still to be killed, or to be let in.
        driver: the process that is killed last.
        there: for each kind, the results that were in when the driver was killed.
        again: how many of these came again.
        num_runs: drivers that have been killed.
    """

    s3: S3Server
    cluster: RayCluster
    steps: dict[str, list[str]]
    driver: subprocess.Popen[str] | None = None
    there: dict[str, set[str]] = field(default_factory=dict)
    again: int = 0
    num_runs: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, method: str, path: str) -> int | None:
        found = PART.search(path)
        if method != "PUT" or found is None or found[1] not in self.steps:
            return None
        kind, run = found[1], self.num_runs
        with self._lock:
            if run != self.num_runs:  # of a driver that is dead
                return DROP
            self.again += path in self.there.get(kind, ())
            if not self.steps[kind]:
                return None
            step = self.steps[kind][0]
            if (step == "worker" and self.cluster.kill_worker(kind)) or (step == "node" and self._kill_node(kind)):
                self.steps[kind].pop(0)
            elif step == "driver":
                assert self.driver is not None
                self.there[kind] = {f"/{BUCKET}/{key}" for key in self.s3.keys(BUCKET) if f"/{kind}" in key}
                self.steps[kind].pop(0)
                self.num_runs += 1
                with self.cluster.ending(kind):  # the workers of a dead driver
                    self.driver.kill()
            elif step == "in":
                self.steps[kind].pop(0)
                return None
            return DROP

    def _kill_node(self, kind: str) -> bool:
        is_killed = self.cluster.kill_node(kind)
        if is_killed:
            self.cluster.add_node()
        return is_killed

    def run(self, folder: Path, *command: str) -> tuple[int, str, str]:
        """The program's exit code, its standard output and its standard error."""
        with (
            (folder / "out").open("w+") as out,
            (folder / "err").open("w+") as err,
            subprocess.Popen([PROGRAM, *command], cwd=folder, stdout=out, stderr=err, text=True) as self.driver,
        ):
            code = self.driver.wait(240)
        return code, (folder / "out").read_text(), (folder / "err").read_text()


def test_a_dedup(s3: S3Server, cluster: RayCluster, scratch: Path, noisyweb: Program, tmp_path: Path) -> None:
    readable = [row for row in images() if row[2][:2] == b"\xff\xd8" and row[2][-2:] == b"\xff\xd9"]
    rows = readable + [(f"v{n}", n % 2, photo(100 + n)) for n in range(70)]
    here, there = workspace(tmp_path / "w", rows), workspace(f"s3://{BUCKET}/w", rows)
    options = ("--embedding", "my_models:colours", "--min-cosine", "0.999")
    done = noisyweb("dedup", "--workspace", here.folder, *options, cwd=scratch)
    assert done.returncode == 0, done.stderr
    command = ("dedup", "--workspace", f"s3://{BUCKET}/w", "--sizes", SIZES)
    command += ("--engine", "ray", "--address", cluster.address)
    killing = Killing(s3, cluster, {kind: ["worker", "node", "in", "driver"] for kind in DEDUP})
    killing.steps["cosines"].remove("in")  # it is one shard
    s3.answer = killing
    for number, kind in enumerate(DEDUP):
        if kind == "embed":
            command += options  # not earlier: torch takes its time to load
        code, _, told = killing.run(scratch, *command)
        assert code == -signal.SIGKILL, (kind, told)
        left = [name for name in DEDUP if killing.steps[name]]
        assert left == list(DEDUP[number + 1 :]), "it was killed in the midst of this kind"
    killing.steps["cosines"] = ["worker"]
    code, out, told = killing.run(scratch, *command)
    assert code == 0, told
    assert out == done.stdout, "the report, and nothing of what Ray says of dead workers"
    assert re.fullmatch(r"engine ray: \d+ shards done, retried 1, set aside 0\n", told)
    for name in DEDUP_TABLES:
        assert there.read(name).equals(here.read(name)), name
    assert all(killing.there[kind] for kind in DEDUP[:-1])
    assert killing.again == 0, "what is there is not done again"
    assert not [key for key in s3.keys(BUCKET) if key.startswith(("w/parts", "w/_noisyweb"))]
    assert not list((scratch / "tmp").glob("*")), "no temporary files"


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_export(s3: S3Server, cluster: RayCluster, scratch: Path, tmp_path: Path) -> None:
    builds = write_builds(tmp_path / "pets")
    alone = tmp_path / "alone"
    alone.mkdir()
    export_builds(open_builds(builds), "webdataset", alone, Options(shard_bytes=SHARD_BYTES))
    for path in files_of(builds):
        (RemotePath(f"s3://{BUCKET}/pets") / str(path.relative_to(builds))).write_bytes(path.read_bytes())
    target = f"s3://{BUCKET}/tars"
    command = ("export", f"s3://{BUCKET}/pets", "--to", "webdataset", "--out", target)
    command += ("--shard-bytes", str(SHARD_BYTES), "--engine", "ray", "--address", cluster.address)
    killing = Killing(s3, cluster, {kind: ["worker", "node", "in", "driver"] for kind in EXPORT})
    s3.answer = killing
    for number, kind in enumerate(EXPORT):
        code, _, told = killing.run(scratch, *command)
        assert code == -signal.SIGKILL, (kind, told)
        assert [name for name in EXPORT if killing.steps[name]] == list(EXPORT[number + 1 :])
    code, _, told = killing.run(scratch, *command)
    assert code == 0, told
    assert re.fullmatch(r"engine ray: \d+ shards done, retried 0, set aside 0\n", told)
    assert killing.again == 0
    exported = {name: file.read_bytes() for name, file in RemotePath(target).files().items()}
    assert exported == {str(one.relative_to(alone)): one.read_bytes() for one in files_of(alone)}
    assert not list((scratch / "tmp").glob("*"))
