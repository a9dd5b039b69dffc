"""Folders at fsspec URLs: in memory, on the disk, and on a real S3 server on loopback."""

from __future__ import annotations

import io
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from noisyweb.data import NoisyImages, validation_folder
from noisyweb.dataset import load_dataset
from noisyweb.errors import (
    CorruptFileError,
    MissingExtraError,
    NoisywebError,
    OutputError,
    RemoteError,
    SourceError,
    VerificationError,
)
from noisyweb.lock import LOCK_NAME, locked_folders, read_lock
from noisyweb.manifest import image_id, open_manifest
from noisyweb.range_file import RangeFile
from noisyweb.remote import is_url, local_copy, new_folder, put_file
from noisyweb.remote_errors import shown
from noisyweb.remote_path import RemotePath, place_of
from noisyweb.show import choose_rows, contact_sheet
from noisyweb.verify import builds_in, verify
from tests.conftest import Program, TinySet, assert_refused
from tests.export_builds import clean_row, rows_of, write_build, write_builds

if TYPE_CHECKING:
    from tests.s3_server import S3Server

BUCKET = "noisy"


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    """What an earlier test told the server is forgotten."""
    if "s3" in request.fixturenames:
        request.getfixturevalue("s3").forget()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_builds(tmp_path_factory.mktemp("builds") / "pets")


@pytest.fixture(params=["memory", "file", "s3"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a place where nothing is."""
    if request.param == "s3":
        request.getfixturevalue("s3")
    name = f"{tmp_path.parent.name}-{tmp_path.name}"
    return {"memory": f"memory://tests/{name}", "file": f"{tmp_path.as_uri()}/to", "s3": f"s3://{BUCKET}/{name}"}[
        request.param
    ]


@pytest.fixture
def remote_root(there: str, root: Path) -> str:
    """The builds at a URL, each put there as ``new_folder`` does."""
    for build in sorted(root.iterdir()):
        put_build(build, f"{there}/{build.name}")
    return there


def put_build(build: Path, url: str, **options: Any) -> None:
    with new_folder(url, **options) as folder:
        shutil.copytree(build, folder, dirs_exist_ok=True)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def files_at(url: str) -> dict[str, bytes]:
    """Read by fsspec alone."""
    fs, path = fsspec.core.url_to_fs(url)
    fs.invalidate_cache()
    return {name.removeprefix(path).lstrip("/"): fs.cat_file(name) for name in fs.find(path)}


def noise_png(number: int, side: int = 150) -> bytes:
    """About 68 KB that do not compress."""
    out = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def write_large_build(root: Path, num_rows: int = 40) -> Path:
    """One file of row groups of four images each, 2.7 MB."""
    rows = []
    for n in range(num_rows):
        data = noise_png(n)
        rows.append({**clean_row(n), "image_id": image_id(data), "image": {"bytes": data, "path": f"{n}.png"}})
    return write_build(root, rows, "red", "0", shard_bytes=10**9)


# Writing


def test_a_folder_appears_whole_and_is_not_replaced_unasked(there: str, tmp_path: Path) -> None:
    content = {"README.md": b"card", LOCK_NAME: b"{}", "a.bin": bytes(range(256)), "inner/b c.bin": b"", "é.txt": b"x"}

    def fill(folder: Path, content: dict[str, bytes]) -> None:
        for name, data in content.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)

    with new_folder(there) as folder:
        fill(folder, content)
        assert files_at(there) == {}
    assert files_at(there) == content
    with pytest.raises(OutputError, match=r"it is there already; name another place or remove it$"), new_folder(there):
        pytest.fail("the block must not begin")
    with pytest.raises(ZeroDivisionError), new_folder(there, overwrite=True) as folder:
        fill(folder, {"new": b"new"})
        _ = 1 / 0
    assert files_at(there) == content
    with new_folder(there, overwrite=True) as folder:
        fill(folder, {"new": b"new"})
    assert files_at(there) == {"new": b"new"}
    (tmp_path / "card").write_text("hello")
    put_file(f"{there}/README.md", tmp_path / "card")
    assert files_at(there) == {"new": b"new", "README.md": b"hello"}
    with local_copy(there) as copy:
        assert files_of(copy) == {"new": b"new", "README.md": b"hello"}
    with local_copy(f"{there}/new") as copy:
        assert copy.read_bytes() == b"new"


def test_a_failed_block_leaves_nothing(there: str) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(there) as folder:
        (folder / "x").write_bytes(b"x")
        _ = 1 / 0
    assert files_at(there) == {}


def test_a_plain_path_is_a_folder_as_ever(tmp_path: Path) -> None:
    with new_folder(str(tmp_path / "to")) as folder:
        (folder / "x").write_bytes(b"x")
    assert files_of(tmp_path) == {"to/x": b"x"}
    with pytest.raises(OutputError, match="it is there already"), new_folder(str(tmp_path / "to")):
        pytest.fail("the block must not begin")
    with local_copy(str(tmp_path / "to")) as copy:
        assert copy == tmp_path / "to"


def test_what_vouches_for_a_folder_is_uploaded_last(s3: S3Server, tmp_path: Path) -> None:
    with new_folder(f"s3://{BUCKET}/order") as folder:
        for name in (LOCK_NAME, "README.md", "train-0.parquet", "z.json", "inner/README.md"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(b"x")
    put = [path.removeprefix(f"/{BUCKET}/order/") for method, path in s3.requests if method == "PUT"]
    assert put[1:] == ["train-0.parquet", "z.json", "README.md", "inner/README.md", LOCK_NAME]


@pytest.mark.parametrize("refused", ["train-00002", "README.md", LOCK_NAME])
def test_a_failed_upload_takes_back_what_it_sent(refused: str, s3: S3Server, root: Path) -> None:
    s3.answer = lambda method, path: 403 if method == "PUT" and refused in path else None
    with pytest.raises(RemoteError, match=r"access refused") as caught, new_folder(f"s3://{BUCKET}/failed") as folder:
        shutil.copytree(root / "red_noise_nl_0.4", folder, dirs_exist_ok=True)
        (folder / "README.md").write_text("card")
    assert "\n" not in str(caught.value)
    assert sum(method == "PUT" for method, _ in s3.requests) > 2
    assert [key for key in s3.keys(BUCKET) if key.startswith("failed")] == []


def test_a_killed_upload_leaves_no_lock_file_and_is_told_apart(s3: S3Server, root: Path) -> None:
    build, url = root / "red_noise_nl_0.4", f"s3://{BUCKET}/killed"
    arrived, go_on = threading.Event(), threading.Event()

    def hold(method: str, path: str) -> int | None:
        if method == "PUT" and "train-00001" in path:
            arrived.set()
            go_on.wait(30)
            return 403
        return None

    s3.answer = hold
    code = (
        "import shutil, sys\nfrom noisyweb.remote import new_folder\n"
        "with new_folder(sys.argv[1]) as folder: shutil.copytree(sys.argv[2], folder, dirs_exist_ok=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, url, str(build)])
    assert arrived.wait(60)
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    go_on.set()
    s3.forget()
    assert [key for key in s3.keys(BUCKET) if key.startswith("killed")] == [
        f"killed/{path.name}" for path in sorted(build.glob("train-00000*"))
    ]
    with pytest.raises(SourceError, match=r"missing; upload it again"):
        open_manifest(url)
    with pytest.raises(SourceError, match=LOCK_NAME):
        builds_in(place_of(url))
    with pytest.raises(OutputError, match=r"an upload that was cut off"), new_folder(url):
        pytest.fail("the block must not begin")
    put_build(build, url, overwrite=True)
    assert files_at(url) == files_of(build)


# Reading


def test_a_manifest_is_the_same_from_everywhere(remote_root: str, root: Path) -> None:
    url = f"{remote_root}/red_noise_nl_0.4"
    local, remote = open_manifest(root / "red_noise_nl_0.4"), open_manifest(url)
    assert len(remote.files) > 1
    assert remote.info == local.info
    assert remote.rows.equals(local.rows)
    assert rows_of(remote) == rows_of(local)
    data, expected = pickle.loads(pickle.dumps(NoisyImages(url))), NoisyImages(root / "red_noise_nl_0.4")
    assert data.ids == expected.ids
    for i in np.random.default_rng(0).permutation(len(expected)).tolist():
        assert data[i][1] == expected[i][1]
        assert np.array_equal(np.asarray(data[i][0]), np.asarray(expected[i][0]))
    beside = validation_folder(url)
    assert beside is not None
    assert NoisyImages(beside).ids == NoisyImages(root / "clean_validation").ids
    assert validation_folder(remote_root) is None


def test_builds_are_listed_verified_and_shown(remote_root: str, root: Path) -> None:
    found = builds_in(place_of(remote_root))
    assert [build.name for build in found] == [build.name for build in builds_in(root)]
    assert [read_lock(build) for build in found] == [read_lock(build) for build in locked_folders(root)]
    assert [read_lock(build) for build in locked_folders(place_of(remote_root))] == [read_lock(b) for b in found]
    build = next(build for build in found if build.name == "red_noise_nl_0.4")
    assert (proven := verify(build)).num_rows == 14
    assert proven.num_hashed == 14
    remote, local = open_manifest(build), open_manifest(root / "red_noise_nl_0.4")
    chosen = choose_rows(remote.rows, 6, 0)
    assert contact_sheet(remote, chosen).tobytes() == contact_sheet(local, chosen).tobytes()
    with pytest.raises(SourceError, match=r"did you mean .*/blue_noise_nl_0\.4\?"):
        open_manifest(remote_root)


def test_what_was_changed_at_the_store_is_found(remote_root: str, root: Path, tmp_path: Path) -> None:
    url = f"{remote_root}/blue_noise_nl_0.4"
    name = open_manifest(root / "blue_noise_nl_0.4").files[0].name
    stray = tmp_path / "stray"
    shutil.copy(root / "blue_noise_nl_0.4" / name, stray)
    put_file(f"{url}/inner/extra.parquet", stray)
    with pytest.raises(VerificationError, match=r"inner/extra\.parquet: not in the lock file"):
        verify(place_of(url))
    data = stray.read_bytes()
    stray.write_bytes(data[:-100])
    put_file(f"{url}/{name}", stray)
    with pytest.raises(VerificationError, match=r"changed since it was built"):
        verify(place_of(url))
    with pytest.raises(CorruptFileError, match=r"damaged or not Parquet"):
        NoisyImages(url)


def test_loader_workers_read_for_themselves(s3: S3Server, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    build = write_large_build(tmp_path, 12)
    put_build(build, f"s3://{BUCKET}/loader")
    data = NoisyImages(f"s3://{BUCKET}/loader", transform=lambda image: torch.from_numpy(np.array(image)))
    assert data[0][0].shape == (150, 150, 3)  # the store has been used before the fork
    loader = torch.utils.data.DataLoader(data, batch_size=5, num_workers=2)
    batches = list(loader)
    expected = NoisyImages(build)
    assert torch.cat([labels for _, labels in batches]).tolist() == expected.labels.tolist()
    pixels = torch.cat([images for images, _ in batches]).numpy()
    assert np.array_equal(pixels, np.stack([np.asarray(expected[i][0]) for i in range(12)]))


def test_only_the_row_group_asked_for_is_fetched(s3: S3Server, tmp_path: Path) -> None:
    build = write_large_build(tmp_path)
    size = sum(len(data) for data in files_of(build).values())
    put_build(build, f"s3://{BUCKET}/ranges")
    s3.forget()
    data = NoisyImages(f"s3://{BUCKET}/ranges")
    opened = s3.served
    assert opened < size / 5
    data[37]
    group = sum(len(noise_png(n)) for n in range(36, 40))
    assert group <= s3.served - opened < 1.6 * group
    before = s3.served
    data[36]
    assert s3.served == before
    data[0]
    assert s3.served < size / 2


def test_a_run_reads_its_manifest_from_a_url(s3: S3Server, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from noisyweb.training.config import Wishes
    from noisyweb.training.run import make_plan
    from tests.toy_manifest import write_toy_manifest

    folder = write_toy_manifest(tmp_path, num_images=24, num_validation=9)
    for build in folder.parent.iterdir():
        put_build(build, f"s3://{BUCKET}/toy/{build.name}")
    wishes = Wishes(method="standard", epochs=1, batch_size=8, device="cpu")
    plans = [
        make_plan(place, wishes, out=tmp_path / name)
        for name, place in (("here", folder), ("there", f"s3://{BUCKET}/toy/{folder.name}"))
    ]
    assert plans[0].facts.digest == plans[1].facts.digest
    assert plans[0].config == plans[1].config
    here, there = plans[0].validation, plans[1].validation
    assert here is not None
    assert there is not None
    assert [here.encoded(i) for i in range(9)] == [there.encoded(i) for i in range(9)]


def test_parquet_sources_may_be_urls(there: str, root: Path, tmp_path: Path) -> None:
    build = root / "clean_validation"
    put_build(build, f"{there}/set")
    expected = [row["bytes"] for row in rows_of(build)]
    for number, path in enumerate(("set", "set/*.parquet", f"set/{next(build.glob('*.parquet')).name}")):
        toml = tmp_path / f"{number}.toml"
        toml.write_text(f'name = "urls"\ntitle = "URLs"\n[train]\nformat = "parquet"\npath = "{there}/{path}"\n')
        images = load_dataset(str(toml)).train()
        loaded = list(images.load(range(len(images))))
        assert loaded == (expected[: len(loaded)] if number == 2 else expected)
        assert loaded
    toml.write_text(f'name = "urls"\ntitle = "URLs"\n[train]\nformat = "parquet"\npath = "{there}/none"\n')
    with pytest.raises(SourceError, match=r"no Parquet file at .*none; mend 'path'"):
        load_dataset(str(toml)).train()


# Errors


def test_a_store_that_refuses(s3: S3Server, root: Path, tmp_path: Path) -> None:
    url = f"s3://{BUCKET}/refused"
    put_build(root / "red_noise_nl_0.4", url)
    data = NoisyImages(url)
    s3.answer = lambda method, path: 403
    for read in (
        lambda: data[0],
        lambda: open_manifest(url),
        lambda: builds_in(place_of(url)),
        lambda: new_folder(f"{url}2").__enter__(),
        lambda: local_copy(url).__enter__(),
        lambda: put_file(f"{url}/README.md", root / "red_noise_nl_0.4" / LOCK_NAME),
    ):
        with pytest.raises(RemoteError, match=r"^s3://noisy/refused\S*: access refused \(.+\); check the credentials"):
            read()


def test_a_store_that_is_gone(s3: S3Server, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.s3_server import S3Server

    with S3Server() as other:
        for name, value in other.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("NOISYWEB_STORE_PATIENCE_S", "0.5")  # instead of a minute
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        other.client().create_bucket(Bucket="brief")
        put_build(root / "red_noise_nl_0.4", "s3://brief/build")
        data = NoisyImages("s3://brief/build")
    with pytest.raises(RemoteError, match=r"^s3://brief/build/train\S*: the store failed \(.+\); check the address"):
        data[0]
    monkeypatch.undo()
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_mistakes_on_the_command_line(s3: S3Server, noisyweb: Program, root: Path) -> None:
    put_build(root / "red_noise_nl_0.4", f"s3://{BUCKET}/cli")
    done = noisyweb("verify", f"s3://{BUCKET}/cli")
    assert done.returncode == 0, done.stderr
    assert f"s3://{BUCKET}/cli: ok, 14 rows" in done.stdout
    assert_refused(noisyweb("show", "s3://no-such-bucket/build"), "s3://no-such-bucket/build", "no such folder")


def test_there_is_no_bucket(s3: S3Server) -> None:
    with pytest.raises(OutputError, match=r"no such bucket or folder to write into"), new_folder("s3://none/x"):
        pytest.fail("the block must not begin")
    assert ("PUT", "/none") not in s3.requests  # nor is one made
    with pytest.raises(SourceError, match=r"s3://none/x: there is nothing"), local_copy("s3://none/x"):
        pytest.fail("the block must not begin")


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKID:hunter2@noisy/builds/x",
        "s3://AKID:hun/ter2@x@noisy/x",
        "https://user:hunter2@127.0.0.1:1/x",
        "http://127.0.0.1:1/x?token=hunter2&other=hunter2",
        "nope://user:hunter2@noisy/x",
        "s3://AKID:hunter2@noisy/x::zip://y",
        "ftp://user:hunter2@127.0.0.1:1/x",
    ],
)
def test_credentials_are_not_told(url: str, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOISYWEB_STORE_PATIENCE_S", "0")  # nobody listens there
    secrets = ("hunter2", "hun/ter2", "ter2", "AKID", "user")
    attempts = (
        lambda: open_manifest(url),
        lambda: NoisyImages(url),
        lambda: new_folder(url).__enter__(),
        lambda: local_copy(url).__enter__(),
    )
    for attempt in attempts:
        with pytest.raises(NoisywebError) as caught:
            attempt()
        message = str(caught.value)
        assert "\n" not in message
        assert not any(secret in message for secret in secrets), message
    assert not any(secret in f"{RemotePath(url)} {RemotePath(url)!r} {RemotePath(url).name}" for secret in secrets)


@pytest.mark.parametrize("name", ["../../evil", "a/../../evil", "a//b", "./x", "a\\b", "/abs"])
def test_a_copy_keeps_within_its_folder(name: str, s3: S3Server) -> None:
    s3.client().put_object(Bucket=BUCKET, Key=f"hostile/{name}", Body=b"evil")
    try:
        with pytest.raises(SourceError, match=r"it holds a file named .*; expected a plain path below it"):
            local_copy(f"s3://{BUCKET}/hostile").__enter__()
    finally:
        s3.client().delete_object(Bucket=BUCKET, Key=f"hostile/{name}")


def test_a_file_that_is_also_a_folder(s3: S3Server) -> None:
    for name in ("a", "a/b"):
        s3.client().put_object(Bucket=BUCKET, Key=f"both/{name}", Body=b"x")
    with pytest.raises(SourceError, match=r"is both a file and a folder there"):
        local_copy(f"s3://{BUCKET}/both").__enter__()


@pytest.mark.parametrize("url", ["s3://b/../x", "memory://a/./b", "s3://b/a::file:///etc", "s3://b/a\nb", "s3://b/a\0"])
def test_urls_that_are_none(url: str) -> None:
    for attempt in (open_manifest, local_copy, new_folder):
        with pytest.raises(SourceError, match=r"a chain of URLs|not a plain URL") as caught:
            found = attempt(url)
            found.__enter__()  # type: ignore[union-attr]
        assert "\n" not in str(caught.value)


def test_a_query_is_not_written_into_names() -> None:
    with pytest.raises(OutputError, match=r"^memory://x/y: a URL with a query cannot be written to"):
        new_folder("memory://x/y?token=1").__enter__()


def test_a_store_without_its_package() -> None:
    try:
        import gcsfs  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(MissingExtraError, match=r"gs:// needs gcsfs.*pip install 'noisyweb\[gs\]'$"):
            open_manifest("gs://bucket/x")
    else:
        pytest.skip("gcsfs is installed")


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("s3://b/x", True), ("memory://x", True), ("file:///x", True), ("hf://datasets/a/b", True),
        ("builds/cars", False), ("/abs", False), ("C:/x", False), ("C://x", False), ("a b://x", False), ("x:y", False),
        ("", False),
    ],
)  # fmt: skip
def test_what_is_a_url(place: str, expected: bool) -> None:
    assert is_url(place) is expected


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_no_user_no_password_no_query_is_shown(user: str, password: str) -> None:
    user, password = ("".join(part.replace("://", "").split()) for part in (user.replace("/", ""), password))
    for query in ("", f"?token=P{password}P"):
        told = shown(f"s3://U{user}U:P{password}P@bucket/x{query}")
        assert told == "s3://bucket/x" or (told == "s3://***" and "?" in f"{user}{password}{query}")
        assert shown(f"https://bucket:80/x{query}") in ("https://bucket:80/x", "https://***")
    assert shown("s3://bucket/a@b:c") == "s3://bucket/a@b:c"


@given(st.binary(max_size=300), st.lists(st.tuples(st.integers(0, 400), st.integers(-1, 400))))
def test_a_range_file_reads_as_a_file_does(data: bytes, reads: list[tuple[int, int]]) -> None:
    ours, theirs = RangeFile("x", len(data), lambda start, end: data[start:end]), io.BytesIO(data)
    for at, size in reads:
        assert ours.seek(at) == theirs.seek(at)
        assert ours.read(size) == theirs.read(size)
        assert ours.tell() == theirs.tell()
    assert io.BufferedReader(RangeFile("x", len(data), lambda start, end: data[start:end])).read() == data


def test_a_server_that_knows_no_ranges_is_told() -> None:
    with pytest.raises(RemoteError, match=r"^x: asked for 3 bytes, 10 came; .*its server knows no ranges"):
        RangeFile("x", 10, lambda start, end: bytes(10)).read(3)


def test_a_build_goes_to_a_bucket_whole(s3: S3Server, tiny: TinySet, noisyweb: Program) -> None:
    place = f"s3://{BUCKET}/built"
    done = noisyweb("build", "--dataset", tiny.toml, "--noise", "0.4", "--out", place)
    assert done.returncode == 0, done.stderr
    assert f"{place}/tiny/red_noise_nl_0.4: 38 images, 15 wrong" in done.stdout
    assert f"{place}/tiny: uploaded" in done.stdout
    assert tempfile.gettempdir() not in done.stdout
    assert verify(place_of(f"{place}/tiny/red_noise_nl_0.4")).num_wrong == 15
    again = noisyweb("build", "--dataset", tiny.toml, "--noise", "0.2", "--out", place)
    assert_refused(again, "it is there already")
    over = noisyweb("build", "--dataset", tiny.toml, "--noise", "0.2", "--out", place, "--overwrite")
    assert_refused(over, "--overwrite replaces builds on a disk only; delete those there, or name another URL")
