"""The gallery: what dedup did, in pictures, so that its radius is chosen with open eyes.

A page shows the groups and the leaks that were dropped, the pairs nearest to the radius on both sides of it, and how
far images are from one another. It only reads the workspace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from noisyweb.atomic import replacing_file
from noisyweb.decode import pillow_in_bounds
from noisyweb.errors import SourceError
from noisyweb.gallery_draw import chart, encoded, sheet
from noisyweb.gallery_facts import Dropped, Row, near_radius, nearest, sampled
from noisyweb.gallery_page import Content, page
from noisyweb.gallery_tiles import Tiles, interleave, packed
from noisyweb.hashes import known_hashes
from noisyweb.phash import NUM_BITS
from noisyweb.progress import Progress, silent
from noisyweb.workspace import Workspace


@dataclass(frozen=True)
class Gallery:
    """Where a gallery is, and what is in it.

    Attributes:
        index: the page; it needs none of the other files.
        groups_png, threshold_png, distances_png: groups and leaks, pairs nearest to the radius, nearest distances.
        num_questions, num_kept: pairs of image and class, and those that were not dropped.
        dropped: how many were, by kind and by what they were compared with (web, train or validation).
        num_groups, num_groups_shown: groups of web images.
        num_leaks, num_leaks_shown: clean images that web images are copies of.
        num_within, num_within_shown: pairs within the radius, of the images compared.
        num_beyond, num_beyond_shown: pairs up to 32 bits beyond it that are in no group together.
    """

    index: Path
    groups_png: Path
    threshold_png: Path
    distances_png: Path
    num_questions: int
    num_kept: int
    dropped: Mapping[tuple[str, str], int]
    num_groups: int
    num_groups_shown: int
    num_leaks: int
    num_leaks_shown: int
    num_within: int
    num_within_shown: int
    num_beyond: int
    num_beyond_shown: int

    def lines(self) -> list[str]:
        """The counts as text."""
        return [
            f"questions {self.num_questions:,}, kept {self.num_kept:,}, dropped {sum(self.dropped.values()):,}",
            f"shown: groups {self.num_groups_shown:,} of {self.num_groups:,}, clean images with leaks "
            f"{self.num_leaks_shown:,} of {self.num_leaks:,}, pairs within the radius {self.num_within_shown:,} of "
            f"{self.num_within:,}, pairs just beyond {self.num_beyond_shown:,} of {self.num_beyond:,}",
        ]


def gallery(
    workspace: Workspace,
    out: Path,
    *,
    radius: int,
    clean: Mapping[str, Callable[[], bytes | None]] | None = None,
    method: str = "phash",
    title: str = "Duplicates and leaks",
    max_groups: int = 40,
    num_pairs: int = 24,
    seed: int = 0,
    progress: Progress = silent,
) -> Gallery:
    """Write index.html, groups.png, threshold.png and distances.png into a folder; other files in it stay.

    Args:
        workspace: where dedup has run.
        out: the folder.
        radius: the one dedup ran with, in bits of 256, or another to look at pairs by.
        clean: clean images by id (SHA-256), each a function that gives its bytes. Those that the workspace has
            hashes of are compared as well.
        method: the hash that dedup compared by, phash or dhash.
        title: of the page.
        max_groups: groups shown at most, and as many clean images with leaks.
        num_pairs: pairs shown at most, half of them on each side of the radius.
        seed: same seed, same workspace, same bytes.
        progress: told how far it is.

    Raises:
        SourceError: the radius is not in 0..256.
    """
    if not 0 <= radius <= NUM_BITS:
        raise SourceError(f"radius {radius}: expected 0 to {NUM_BITS} bits")
    clean = clean or {}
    with pillow_in_bounds():
        dropped = Dropped(workspace)
        hashes = {
            image_id: known[0]
            for image_id, known in known_hashes(workspace, method).items()
            if known[0] is not None and not known[1] and (image_id in dropped.web or image_id in clean)
        }
        progress("compare", 0, len(hashes))
        threshold = near_radius(hashes, dropped.web, dropped.group_of(radius), radius, num_pairs, seed)
        distances = nearest(hashes, dropped.web, seed)
        progress("compare", len(hashes), len(hashes))
        groups, leaks = dropped.groups(leaks=False), dropped.groups(leaks=True)
        tiles = Tiles(workspace, dropped, clean)
        content = Content(
            title=title,
            radius=radius,
            has_run=dropped.has_run,
            num_questions=len(dropped.questions),
            num_kept=len(dropped.questions - dropped.rows.keys()),
            dropped=Counter((row["kind"], row["against"]) for row in dropped.rows.values()),
            groups=packed(tiles.groups(_chosen(groups, max_groups, seed), progress)),
            num_groups=len(groups),
            leaks=packed(tiles.groups(_chosen(leaks, max_groups, seed), progress)),
            num_leaks=len(leaks),
            threshold=threshold,
            within=tiles.pairs(threshold.within, progress),
            beyond=tiles.pairs(threshold.beyond, progress),
            distances=distances,
            num_web=sum(image_id in dropped.web for image_id in hashes),
            charts=(encoded(chart(distances, radius, 880, 400)), encoded(chart(distances, radius, 358, 320))),
        )
        return _write(out, content)


def _chosen(groups: Sequence[list[Row]], count: int, seed: int) -> list[list[Row]]:
    """Some of the groups, each kind among them: drawn by seed, rare kinds first."""
    of_name = {f"{rows[0]['against']} {rows[0]['kept_id']}": rows for rows in groups}
    drawn = [of_name[name] for name in sampled(list(of_name), len(of_name), seed, "groups")]
    return interleave(drawn, lambda rows: {f"{row['kind']} {row['against']}" for row in rows}, count)


def _write(out: Path, content: Content) -> Gallery:
    sections = content.sections()
    files = {
        "groups.png": encoded(sheet([sections["leaks"], sections["groups"]])),
        "threshold.png": encoded(sheet([sections["within"], sections["beyond"]])),
        "distances.png": content.charts[0],
        "index.html": page(content).encode("utf-8"),
    }
    for name, data in files.items():
        with replacing_file(out / name) as temporary:
            temporary.write_bytes(data)
    return Gallery(
        index=out / "index.html",
        groups_png=out / "groups.png",
        threshold_png=out / "threshold.png",
        distances_png=out / "distances.png",
        num_questions=content.num_questions,
        num_kept=content.num_kept,
        dropped=content.dropped,
        num_groups=content.num_groups,
        num_groups_shown=len(content.groups),
        num_leaks=content.num_leaks,
        num_leaks_shown=len(content.leaks),
        num_within=content.threshold.num_within,
        num_within_shown=len(content.within),
        num_beyond=content.threshold.num_beyond,
        num_beyond_shown=len(content.beyond),
    )
