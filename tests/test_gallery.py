"""The gallery: what it shows of real workspaces, that hostile text stays text, and that nothing makes it fail."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from noisyweb.dedup import dedup
from noisyweb.errors import SourceError
from noisyweb.gallery import gallery
from noisyweb.gallery_draw import BEYOND, LINE, MAX_LINES, WIDTH, WITHIN, chart, printable, sheet
from noisyweb.gallery_facts import Pair, near_radius, nearest, sampled
from noisyweb.gallery_page import Content, page
from noisyweb.gallery_tiles import MAX_TILES, Group, Tile, interleave, packed
from noisyweb.imageset import ImageSet
from noisyweb.phash import phash
from noisyweb.schemas import DUPLICATES, HASHES
from noisyweb.thumbnail import small_copy
from noisyweb.workspace import Workspace
from tests.web import photo

FILES = ("index.html", "groups.png", "threshold.png", "distances.png")
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a\u202e\x00b &amp; </style><b>")
VOID = {"meta", "img", "br", "wbr", "source"}


class Page(HTMLParser):
    """A page taken apart; every tag must be closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.section = ""
        self.groups: list[tuple[str, list[str]]] = []  # section, and the statuses of its tiles in order
        self.in_badge = False
        text = path.read_text(encoding="utf-8")
        self.feed(text)
        self.close()
        assert not self.open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = dict(attrs)
        self.tags.append((tag, at))
        if tag not in VOID:
            self.open.append(tag)
        self.section = at.get("id") or self.section
        if tag == "div" and (at.get("class") or "").split()[:1] == ["group"]:
            self.groups.append((self.section, []))
        self.in_badge = tag == "b" and (at.get("class") or "").startswith("badge") and "figure" in self.open

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.in_badge = False

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)
        if self.in_badge:
            self.groups[-1][1].append(data)

    def shown(self, section: str) -> list[list[str]]:
        return [statuses for where, statuses in self.groups if where == section]


def smaller(data: bytes, factor: float = 0.6, quality: int = 60) -> bytes:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    out = io.BytesIO()
    image.resize((round(image.width * factor), round(image.height * factor))).save(out, "JPEG", quality=quality)
    return out.getvalue()


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fetched(folder: Path, names: Sequence[str], images: Sequence[tuple[str, int, bytes]]) -> Workspace:
    """A workspace in which these (url, label, bytes) have been fetched."""
    place = Workspace(folder, create=True)
    place.set_class_names(list(names))
    with place.journal("images") as journal:
        for url, label, data in images:
            width, height = Image.open(io.BytesIO(data)).size
            row = {"url": url, "label": label, "status": "ok", "retry": False, "attempts": 1, "format": "jpeg"}
            size = {"num_bytes": len(data), "width": width, "height": height}
            journal.add({**row, **size, "image_id": place.put(data)})
    return place


def decided(place: Workspace, rows: Sequence[Mapping[str, Any]], clean: Sequence[bytes] = ()) -> Workspace:
    """Hashes as they are, and a ``duplicates`` table with these rows."""
    images = {row["image_id"]: place.get(row["image_id"]) for row in place.read("images").to_pylist()}
    images |= {id_of(data): data for data in clean}
    known = [(image_id, phash(data) or (None, None)) for image_id, data in images.items()]
    table = [{"image_id": image_id, "phash": value, "flat": flat} for image_id, (value, flat) in known]
    place.write("hashes", pa.Table.from_pylist(table, schema=HASHES))
    full = [{"kept_label": None, "distance": None, "against": "web", **row} for row in rows]
    place.write("duplicates", pa.Table.from_pylist(full, schema=DUPLICATES))
    return place


def dropped(data: bytes, kept: bytes, kind: str, **more: Any) -> dict[str, Any]:
    kept_label = 0 if more.get("against", "web") == "web" else None
    return {"image_id": id_of(data), "label": 0, "kept_id": id_of(kept), "kept_label": kept_label, "kind": kind, **more}


def clean_set(*images: bytes) -> ImageSet:
    names = [f"clean {n}" for n in range(len(images))]
    labels = np.zeros(len(images), np.int32)
    return ImageSet(names, labels, ["ant", "bee"], lambda rows: (images[row] for row in rows), names, "train")


def given(*images: bytes) -> dict[str, Callable[[], bytes | None]]:
    return {id_of(data): partial(bytes, data) for data in images}


@pytest.fixture(scope="module")
def deduplicated(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Copies, a question twice, leaks of both clean sets and two unreadable files, as dedup finds them."""
    large, train, validation = photo(1, 200), photo(20, 200), photo(21, 200)
    images = [("https://a.example/1.jpg", 0, large), ("https://b.example/2.jpg", 1, smaller(large))]
    images += [("https://c.example/3.jpg", 0, photo(2)), ("https://c.example/4.jpg", 1, photo(2))]
    images += [("https://d.example/5.jpg", 0, train), ("https://e.example/6.jpg", 0, smaller(validation))]
    images += [(f"https://f.example/{n}.jpg", n % 2, photo(n)) for n in range(3, 9)]
    place = fetched(tmp_path_factory.mktemp("gallery") / "w", ["ant", "bee"], images)
    for n in (3, 4):
        place.path(id_of(photo(n))).write_bytes(b"damaged")
    dedup(place, clean_set(train), clean_set(validation))
    return place


def test_what_dedup_did_is_counted_and_shown(deduplicated: Workspace, tmp_path: Path) -> None:
    clean = given(photo(20, 200), photo(21, 200))
    told: list[tuple[str, int, int]] = []
    found = gallery(deduplicated, tmp_path, radius=32, clean=clean, progress=lambda *done: told.append(done))
    assert found.dropped == {
        ("near", "web"): 1,
        ("exact", "web"): 1,
        ("exact", "train"): 1,
        ("near", "validation"): 1,
        ("unreadable", "web"): 2,
    }
    assert (found.num_questions, found.num_kept) == (12, 6)
    assert (found.num_groups, found.num_groups_shown, found.num_leaks, found.num_leaks_shown) == (2, 2, 2, 2)
    html = Page(found.index)
    assert "12 questions 6 kept 6 dropped" in html.text
    assert sorted(html.shown("groups")) == [["kept", "exact"], ["kept", "near"]]
    assert sorted(html.shown("leaks")) == [["train", "exact"], ["validation", "near"]]
    for words in ("clean train image", "200 × 200", "120 × 120", "a.example", "unreadable", "2 groups."):
        assert words in html.text.replace(". ", "."), words
    assert {what for what, _, _ in told} == {"compare", "draw"}
    assert found.lines()[0] == "questions 12, kept 6, dropped 6"


def test_pairs_lie_on_both_sides_of_the_radius(deduplicated: Workspace, tmp_path: Path) -> None:
    """The copies are a pair within the radius, and web images with the clean ones given to it."""
    clean = given(photo(20, 200), photo(21, 200))
    found = gallery(deduplicated, tmp_path, radius=32, clean=clean)
    assert (found.num_within, found.num_beyond) == (2, 0)
    assert sorted(map(sorted, Page(found.index).shown("within"))) == [["clean", "near"], ["kept", "near"]]
    assert gallery(deduplicated, tmp_path, radius=32).num_within == 1
    wide = gallery(deduplicated, tmp_path, radius=120, num_pairs=6)
    assert (wide.num_within_shown, wide.num_beyond_shown) == (3, 3)


def test_a_smaller_radius_shows_what_it_would_keep(tmp_path: Path) -> None:
    large, small = photo(1, 200), smaller(photo(1, 200), 0.2, 20)
    place = fetched(tmp_path / "w", ["ant"], [("a", 0, large), ("b", 0, small), ("c", 0, photo(5))])
    [far] = near_radius(known(place, large, small), {id_of(large), id_of(small)}, {}, 256, 2, 0).within
    assert far.distance > 0
    decided(place, [dropped(small, large, "near", distance=far.distance)])
    below = gallery(place, tmp_path / "below", radius=far.distance - 1)
    assert (below.num_within, below.num_beyond) == (0, 1)
    at = gallery(place, tmp_path / "at", radius=far.distance)
    assert (at.num_within, at.num_beyond) == (1, 0)
    # Found in another way than by its distance: no radius is needed for it.
    decided(place, [dropped(small, large, "rotate", distance=far.distance)])
    other = gallery(place, tmp_path / "other", radius=far.distance - 1)
    assert (other.num_within, other.num_beyond) == (0, 0)
    assert "in one group all the same: 1." in Page(other.index).text


def known(place: Workspace, *images: bytes) -> dict[str, bytes]:
    hashes = {id_of(data): phash(data) for data in images}
    return {image_id: found[0] for image_id, found in hashes.items() if found}


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    urls = ["javascript:alert(1)//<b>", 'https://x.example/"><script>', "https://<i>.example/", "\U0001f600"]
    images = [(url, n % 3, photo(7, 60 + 20 * n)) for n, url in enumerate(urls)]
    place = fetched(tmp_path / "w", HOSTILE, images)
    rows = [
        {**dropped(images[n][2], images[3][2], kind, distance=2), "label": n % 3}
        for n, kind in enumerate(("near", "<u>odd</u>", "crop"))
    ]
    decided(place, rows)
    title = "</title><script>alert(2)</script>"
    found = gallery(place, tmp_path / "out", radius=32, title=title)
    html = Page(found.index)
    names = {tag for tag, _ in html.tags}
    assert not names & {"script", "u", "iframe", "object", "link"}
    for tag, at in html.tags:
        assert not [name for name in at if name.startswith("on")]
        assert (at.get("src") or "data:").startswith("data:image/") if tag == "img" else True
        assert (at.get("href") or "#").startswith("#")
    for words in (HOSTILE[0], HOSTILE[1], "ab &amp; </style><b>", title, "<u>odd</u>"):
        assert words in html.text, words
    assert "\u202e" not in html.text


def test_the_same_again_gives_the_same_bytes_and_leaves_other_files(deduplicated: Workspace, tmp_path: Path) -> None:
    clean = given(photo(21, 200), photo(20, 200))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
        gallery(deduplicated, tmp_path / name, radius=32, clean=dict(reversed(clean.items())) if name == "b" else clean)
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == sorted([*FILES, "mine.txt"])
    for file in FILES:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_one_bad_image_is_a_placeholder(tmp_path: Path) -> None:
    """Damaged or missing since dedup ran; clean images that are not given, fail, or are none."""
    web = [photo(n, 64 + n) for n in range(6)]
    clean = [photo(n, 200) for n in range(6)]
    place = fetched(tmp_path / "w", ["ant"], [(f"https://a.example/{n}", 0, data) for n, data in enumerate(web)])
    decided(place, [dropped(a, b, "near", distance=2, against="train") for a, b in zip(web, clean, strict=True)], clean)
    place.path(id_of(web[4])).write_bytes(b"\xff\xd8\xff damaged")
    place.path(id_of(web[5])).unlink()

    def fails() -> bytes:
        raise OSError("the disk is gone")

    loaders: dict[str, Callable[[], bytes | None]] = {
        id_of(clean[0]): lambda: clean[0],
        id_of(clean[1]): lambda: None,
        id_of(clean[2]): fails,
        id_of(clean[3]): lambda: b"no image",
    }
    found = gallery(place, tmp_path / "out", radius=32, clean=loaders)
    html = Page(found.index)
    assert (found.num_leaks_shown, len(html.shown("leaks"))) == (6, 6)
    for data in (clean[1], clean[2], clean[3], clean[4], clean[5], web[4], web[5]):
        assert id_of(data) in html.text
    assert html.text.count("unreadable") >= 2
    assert "not in the store" in html.text
    assert "clean image, not given" in html.text


def test_the_pictures_open_and_have_their_sizes(deduplicated: Workspace, tmp_path: Path) -> None:
    found = gallery(deduplicated, tmp_path, radius=32)
    sizes = {}
    for path in (found.groups_png, found.threshold_png, found.distances_png):
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            sizes[path.name] = image.size
    assert sizes["groups.png"][0] == sizes["threshold.png"][0] == WIDTH
    assert sizes["groups.png"][1] > 2 * LINE
    assert sizes["distances.png"] == (1760, 800)
    for tag, at in Page(found.index).tags:
        source = at.get("src") or at.get("srcset")
        if tag in ("img", "source") and source:
            kind, _, data = source.partition(";base64,")
            with Image.open(io.BytesIO(base64.b64decode(data)), formats=[kind.removeprefix("data:image/")]) as image:
                image.load()


def test_long_groups_are_cut_and_groups_and_pairs_are_bounded(tmp_path: Path) -> None:
    many = [photo(1, 64 + n) for n in range(20)]
    twos = [(photo(n, 70), photo(n, 64)) for n in range(2, 14)]
    images = [*many, *(data for pair in twos for data in pair)]
    place = fetched(tmp_path / "w", ["ant"], [(f"https://a.example/{n}", 0, data) for n, data in enumerate(images)])
    rows = [dropped(data, many[-1], "near", distance=n) for n, data in enumerate(many[:-1])]
    decided(place, rows + [dropped(small, large, "near", distance=1) for large, small in twos])
    found = gallery(place, tmp_path / "out", radius=32, max_groups=13, num_pairs=8)
    html = Page(found.index)
    assert (found.num_groups, found.num_groups_shown) == (13, 13)
    [long] = [statuses for statuses in html.shown("groups") if len(statuses) > 2]
    assert len(long) == MAX_TILES
    assert f"and {20 - MAX_TILES} more" in html.text
    assert f"{19} bits" not in html.text  # of long groups the farthest are shown, up to 18 bits here
    assert "18 bits" in html.text
    assert (found.num_within_shown, len(html.shown("within"))) == (4, 4)
    few = gallery(place, tmp_path / "few", radius=32, max_groups=3, num_pairs=0)
    assert (few.num_groups, few.num_groups_shown, few.num_within_shown, few.num_beyond_shown) == (13, 3, 0, 0)
    assert "13 groups, 3 of them shown." in Page(few.index).text
    seeds = {gallery(place, tmp_path / "s", radius=32, max_groups=3, seed=n).index.read_bytes() for n in range(4)}
    assert len(seeds) > 1


def test_each_kind_is_seen_and_agreement_where_there_is_one(tmp_path: Path) -> None:
    kinds = ["mirror", "crop", "pad", "rotate", "embedding"]
    pairs = [(photo(n, 70), photo(n, 64)) for n in range(40)]
    images = [data for pair in pairs for data in pair]
    place = fetched(tmp_path / "w", ["ant"], [(f"https://a.example/{n}", 0, data) for n, data in enumerate(images)])
    rows = [
        dropped(small, large, kinds[n] if n < 5 else "near", distance=None if n == 4 else 6, agreement=0.934)
        for n, (large, small) in enumerate(pairs)
    ]
    decided(place, rows)
    html = Page(gallery(place, tmp_path / "out", radius=32, max_groups=6).index)
    assert sorted(status for _, status in html.shown("groups")) == sorted([*kinds, "near"])
    for words in ("left and right swapped", "one is a part of the other", "turned a little"):
        assert words in html.text
    if "agreement" in DUPLICATES.names:
        assert "93 % agrees" in html.text
        assert "cosine 0.93" in html.text


@pytest.mark.parametrize("has_run", [False, True])
def test_nothing_to_show_is_said(tmp_path: Path, has_run: bool) -> None:
    place = Workspace(tmp_path / "w", create=True)
    found = gallery(place, tmp_path / "empty", radius=32)
    assert (found.num_questions, found.num_groups, found.num_within) == (0, 0, 0)
    assert "There are no two images to compare." in Page(found.index).text
    place = fetched(tmp_path / "w", ["ant"], [(f"https://a.example/{n}", 0, photo(n)) for n in range(3)])
    if has_run:
        decided(place, [])
    text = Page(gallery(place, tmp_path / "out", radius=32).index).text
    assert ("No duplicates and no leaks: nothing was dropped." in text) == has_run
    assert ("Dedup has not run in this workspace yet" in text) == (not has_run)
    assert all((tmp_path / "out" / name).stat().st_size for name in FILES)


@pytest.mark.parametrize("radius", [-1, 257])
def test_a_radius_out_of_range(tmp_path: Path, radius: int) -> None:
    with pytest.raises(SourceError, match="expected 0 to 256 bits"):
        gallery(Workspace(tmp_path / "w", create=True), tmp_path / "out", radius=radius)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("radius", [0, 31, 129, 256])
def test_any_radius_gives_a_gallery(deduplicated: Workspace, tmp_path: Path, radius: int) -> None:
    assert f"Is {radius} bits the right radius?" in Page(gallery(deduplicated, tmp_path, radius=radius).index).text


# -- pairs and distances -------------------------------------------------------------------------------


def scattered(seed: int, count: int) -> dict[str, bytes]:
    """Hashes in clouds: some pairs near, some not, ids in no order."""
    draws = np.random.default_rng(seed)
    centres = draws.integers(0, 2**63, (max(count // 5, 1), 4), dtype=np.uint64)
    noise = np.packbits(draws.random((count, 256)) < 0.06, axis=1).view(np.uint64)
    rows = centres[draws.integers(0, len(centres), count)] ^ noise
    return {hashlib.sha256(f"{seed} {n}".encode()).hexdigest(): row.tobytes() for n, row in enumerate(rows)}


def bits_between(left: bytes, right: bytes) -> int:
    return (int.from_bytes(left, "little") ^ int.from_bytes(right, "little")).bit_count()


def naive_best(pairs: Sequence[tuple[int, str, str]], groups: Mapping[str, str], wanted: int) -> list[Pair]:
    """The first pair of any two groups; of these the ones of groups not seen before, then others, then any pair."""
    first: dict[tuple[str, ...], tuple[int, str, str]] = {}
    for pair in sorted(pairs):
        first.setdefault(tuple(sorted(groups.get(image_id, image_id) for image_id in pair[1:])), pair)
    seen: set[str] = set()
    new, old = list[tuple[int, str, str]](), list[tuple[int, str, str]]()
    for ends, pair in list(first.items())[: 8 * wanted]:
        (old if seen & set(ends) else new).append(pair)
        seen |= set(ends)
    chosen = list(dict.fromkeys([*new, *old, *sorted(pairs)]))[:wanted]
    return [Pair(left, right, abs(order)) for order, left, right in sorted(chosen)]


@pytest.mark.parametrize(("seed", "count", "num_groups"), [(0, 1, 0), (1, 40, 12), (2, 700, 90), (3, 700, 500)])
def test_the_pairs_are_those_nearest_to_the_radius(seed: int, count: int, num_groups: int) -> None:
    hashes = scattered(seed, count)
    ids = list(hashes)
    web = set(ids[: count * 2 // 3])
    groups = {image_id: ids[n % 7] for n, image_id in enumerate(ids[:num_groups])}
    radius, wanted = 28, 6
    found = near_radius(hashes, web, groups, radius, 2 * wanted, 0)
    in_order = [*sorted(web), *sorted(set(ids) - web)]
    numbers = np.array([np.frombuffer(hashes[image_id], np.uint64) for image_id in in_order])
    distances = np.bitwise_count(numbers[:, None] ^ numbers[None, :]).sum(axis=2)
    pairs = [
        (int(distances[i, j]), in_order[i], in_order[j]) for i in range(len(web)) for j in range(i + 1, len(in_order))
    ]
    within = [(-distance, a, b) for distance, a, b in pairs if distance <= radius]
    far = [pair for pair in pairs if radius < pair[0] <= radius + 32]
    beyond = [pair for pair in far if groups.get(pair[1], pair[1]) != groups.get(pair[2], pair[2])]
    # Ties are broken by the order of ids, and the web images' come before the clean ones'.
    rank = {image_id: f"{n:05}" for n, image_id in enumerate(in_order)}

    def ranked(rows: list[tuple[int, str, str]]) -> list[Pair]:
        best = naive_best(
            [(d, rank[a], rank[b]) for d, a, b in rows], {rank[a]: rank[b] for a, b in groups.items()}, wanted
        )
        return [Pair(in_order[int(pair.left)], in_order[int(pair.right)], pair.distance) for pair in best]

    assert (found.num_within, found.num_beyond, found.num_joined) == (len(within), len(beyond), len(far) - len(beyond))
    assert found.within == ranked(within)
    assert found.beyond == ranked(beyond)


def flipped(value: bytes, count: int, start: int = 0) -> bytes:
    """A hash so many bits away."""
    mask = ((1 << count) - 1) << start
    return (int.from_bytes(value, "little") ^ mask).to_bytes(32, "little")


def test_better_pairs_that_come_later_are_found() -> None:
    """Images are compared in blocks of a few hundred; the first block alone would fill the list."""
    draws = np.random.default_rng(0)
    hashes = {f"i{n:03}": draws.bytes(32) for n in range(400)}
    hashes["i001"] = flipped(hashes["i000"], 32)
    hashes["i002"] = flipped(hashes["i000"], 32, 16)
    hashes["i004"] = flipped(hashes["i003"], 10)
    hashes["i399"] = flipped(hashes["i003"], 20)
    groups = {"i001": "i000", "i002": "i000", "i004": "i003", "i399": "i003"}
    found = near_radius(hashes, set(hashes), groups, 32, 4, 0)
    assert found.within == [Pair("i000", "i001", 32), Pair("i003", "i399", 20)]
    for n in range(10, 60, 2):  # more pairs of other groups than are kept in mind
        hashes[f"i{n + 1:03}"] = flipped(hashes[f"i{n:03}"], 8)
    found = near_radius(hashes, set(hashes), groups, 32, 4, 0)
    assert found.within == [Pair("i000", "i001", 32), Pair("i003", "i399", 20)]


def test_a_picture_that_is_there_often_does_not_fill_the_list() -> None:
    """Fifty copies of one picture, two of another, nearer to each other: both are shown."""
    draws = np.random.default_rng(0)
    noise = np.packbits(draws.random((50, 256)) < 0.06, axis=1).view(np.uint64)
    often = {f"a{n:02}": row.tobytes() for n, row in enumerate(noise)}
    twice = {"b0": bytes([255] * 32), "b1": bytes([254, *[255] * 31])}
    groups = {name: name[0] for name in [*often, *twice]}
    found = near_radius(often | twice, set(groups), groups, 40, 8, 0)
    assert Pair("b0", "b1", 1) in found.within
    assert len(found.within) == 4


def test_two_clean_images_are_never_a_pair() -> None:
    hashes = {"a": bytes(32), "b": bytes(32), "web": bytes(32)}
    found = near_radius(hashes, {"web"}, {}, 8, 24, 0)
    assert {(pair.left, pair.right) for pair in found.within} == {("web", "a"), ("web", "b")}


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_nearest_distances_are_exact(count: int) -> None:
    hashes = scattered(count, count) if count else {}
    web = set(list(hashes)[: count - count // 3])
    expected = [
        min(bits_between(hashes[a], hashes[b]) for b in hashes if b != a) for a in sorted(web) if len(hashes) > 1
    ]
    assert nearest(hashes, web, 0).tolist() == expected


def test_samples_are_drawn_by_seed_and_said(tmp_path: Path) -> None:
    hashes = scattered(5, 300)
    web = set(hashes)
    all_of_them = dict(zip(sorted(web), nearest(hashes, web, 0).tolist(), strict=True))
    some = nearest(hashes, web, 3, max_looked_at=20)
    drawn = sampled(list(reversed(hashes)), 20, 3, "nearest")
    assert some.tolist() == [all_of_them[image_id] for image_id in sorted(drawn)]
    near = near_radius(hashes, web, {}, 28, 8, 3, max_compared=50)
    assert (near.num_compared, near.num_images) == (50, 300)
    assert near == near_radius(dict(reversed(hashes.items())), web, {}, 28, 8, 3, max_compared=50)
    drawing = io.BytesIO()
    chart(some, 28, 400, 300).save(drawing, "PNG")
    content = Content(
        title="t",
        radius=28,
        has_run=True,
        num_questions=300,
        num_kept=300,
        dropped={},
        groups=[],
        num_groups=0,
        leaks=[],
        num_leaks=0,
        threshold=near,
        within=[],
        beyond=[],
        distances=some,
        num_web=300,
        charts=(drawing.getvalue(), drawing.getvalue()),
    )
    (tmp_path / "page.html").write_text(page(content), encoding="utf-8")
    text = Page(tmp_path / "page.html").text
    assert "From a sample: 50 of 300 images." in text
    assert "Of 20 web images, a sample of 300 compared with all" in text


# -- parts ---------------------------------------------------------------------------------------------


def test_rare_kinds_come_first_and_in_turns() -> None:
    items = ["n1", "n2", "n3", "n4", "c1", "n5", "m1"]
    assert interleave(items, lambda item: {item[0]}, 5) == ["c1", "m1", "n1", "n2", "n3"]
    assert interleave(items, lambda item: {item[0], "x"}, 9)[:3] == ["c1", "m1", "n1"]
    assert sorted(interleave(items, lambda item: {item[0]}, 9)) == sorted(items)
    assert interleave(items, lambda item: {item[0]}, 0) == []


def a_group(size: int, **more: Any) -> Group:
    return Group([Tile("0" * 64, "ant", "kept", "", None, None, "unreadable")] * size, **more)


def test_groups_are_packed_into_lines_and_none_is_lost() -> None:
    groups = [a_group(size) for size in (5, 2, 7, 3, 6, 2, 2)]
    assert [len(group.tiles) for group in packed(groups)] == [5, 2, 7, 3, 2, 2, 6]
    assert [len(group.tiles) for group in packed([a_group(7, num_more=3), a_group(2)])] == [7, 2]


def test_sheets_are_bounded() -> None:
    groups = [a_group(7)] * 100
    assert sheet([("t", "n", groups), ("t", "n", groups)]).height < 2 * (MAX_LINES + 1) * LINE
    assert sheet([("t", "n", [])]).width == WIDTH


@pytest.mark.parametrize("radius", [31, 32])
def test_the_chart_has_a_bar_for_each_side(radius: int) -> None:
    def colours(distances: list[int]) -> set[str]:
        image = chart(np.array(distances, np.int64), radius, 400, 300).crop((0, 100, 800, 600))
        found = image.getcolors(1 << 20)
        assert found
        return {f"#{bytes(colour).hex()}" for count, colour in found if count > 50 and isinstance(colour, tuple)}

    assert WITHIN in colours([0, 2, radius])
    assert BEYOND not in colours([0, 2, radius])
    assert BEYOND in colours([radius + 1])
    assert WITHIN not in colours([radius + 1, 200])


def test_small_copies_are_upright_and_small_and_damage_is_none() -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(io.BytesIO(photo(1, 640))).resize((640, 320)).save(out, "JPEG", exif=exif)
    made = small_copy(out.getvalue(), 100)
    assert made
    assert made[1] == (320, 640)
    assert Image.open(io.BytesIO(made[0])).size == (50, 100)
    for mode in ("RGBA", "P", "L", "1", "I;16"):
        picture = io.BytesIO()
        Image.new(mode, (30, 500)).save(picture, "PNG")
        found = small_copy(picture.getvalue(), 100)
        assert found
        assert found[1] == (30, 500)
    for data in (b"", b"no image", photo(1, 200)[:300], b"\x89PNG\r\n\x1a\n"):
        assert small_copy(data, 100) is None


def test_text_of_strangers_is_cut_and_printable() -> None:
    assert printable("a\nb\u202ec\ud800") == "abc"
    assert printable("x" * 1000, 10) == "x" * 9 + "…"
