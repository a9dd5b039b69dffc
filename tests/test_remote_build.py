"""Builds from a workspace at a URL, to a URL: the same bytes as between folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from noisyweb.data import NoisyImages
from noisyweb.remote_path import place_of
from noisyweb.verify import verify
from noisyweb.workspace import Workspace
from tests.conftest import Program, TinySet, assert_refused
from tests.test_certainty import crawled
from tests.test_remote import files_at, files_of

if TYPE_CHECKING:
    from tests.s3_server import S3Server

BUCKET = "building"


def copy(here: Workspace, url: str) -> Workspace:
    """The same workspace at a URL, by its own methods."""
    there = Workspace(url, create=True)
    with there.locked():
        there.set_class_names(here.class_names())
        for name in ("images", "votes", "verdicts"):
            there.write(name, here.fold(name))
        for image_id in here.read("images")["image_id"].to_pylist():
            there.put(here.get(image_id))
    return there


def test_a_build_between_urls_is_a_build_between_folders(
    s3: S3Server, tiny: TinySet, noisyweb: Program, tmp_path: Path
) -> None:
    here = crawled(tiny, tmp_path / "w")
    place, out = f"s3://{BUCKET}/ws", f"s3://{BUCKET}/builds"
    copy(here, place)
    options = ("--dataset", tiny.toml, "--noise", "0", "--noise", "0.4", "--no-leak-check")
    local = noisyweb("build", *options, "--workspace", here.folder, "--out", tmp_path / "builds")
    assert local.returncode == 0, local.stderr
    s3.busy(1.5)  # and it is slow to come up
    done = noisyweb("build", *options, "--workspace", place, "--out", out)
    assert done.returncode == 0, done.stderr
    assert f"{out}/tiny/red_noise_nl_0.4: 38 images, 15 wrong" in done.stdout
    assert f"the pool is workspace {place}" in done.stdout
    expected = {name.removeprefix("tiny/"): data for name, data in files_of(tmp_path / "builds").items()}
    assert len(expected) > 9
    assert files_at(f"{out}/tiny") == expected
    assert verify(place_of(f"{out}/tiny/red_noise_nl_0.4")).num_wrong == 15
    assert NoisyImages(f"{out}/tiny/red_noise_nl_0.4")[0][0].size == (40, 30)
    assert_refused(noisyweb("build", *options, "--workspace", place, "--out", out), "it is there already")


def test_an_image_that_is_gone_from_the_store_is_named(
    s3: S3Server, tiny: TinySet, noisyweb: Program, tmp_path: Path
) -> None:
    there = copy(crawled(tiny, tmp_path / "w"), f"s3://{BUCKET}/gone")
    verdicts = there.read("verdicts").to_pylist()
    for row in verdicts:
        if row["is_clean"] is False:
            there.path(row["image_id"]).unlink()
    out = f"s3://{BUCKET}/none"
    options = ("--dataset", tiny.toml, "--noise", "0.4", "--no-leak-check")
    done = noisyweb("build", *options, "--workspace", f"s3://{BUCKET}/gone", "--out", out)
    assert_refused(done, f"workspace s3://{BUCKET}/gone: image", "is not in the store")
    assert not any(key.startswith("none/") for key in s3.keys(BUCKET))
    none = noisyweb("build", *options, "--workspace", f"s3://{BUCKET}/nothing")
    assert_refused(none, f"workspace s3://{BUCKET}/nothing: no such folder")
