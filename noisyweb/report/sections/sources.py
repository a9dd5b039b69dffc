"""Where the images are from: licences, hosts, providers and creators of clean and of web images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from noisyweb.licenses import TYPES, from_text
from noisyweb.report.inputs import ReportInputs
from noisyweb.report.section import Figure, Section, Table
from noisyweb.report.style import PALE, SERIES, WRONG, beside, label, new_figure, plain
from noisyweb.urls import host_of
from noisyweb.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

ORDER = 46
TITLE = "Licences and sources"

MAX_ROWS = 15
NOT_STATED = "not stated"

_COLOURS = {"web": WRONG, "clean": SERIES[0], "other": PALE}
_COLUMNS = ["image_id", "source", "license", "creator", "url"]


def draw(inputs: ReportInputs) -> Section:
    """Counts of images, each once, however many sets hold it."""
    tables = [one.manifest.rows.select(_COLUMNS).replace_schema_metadata() for one in inputs.manifests]
    frame = pa.concat_tables(tables).to_pandas().drop_duplicates("image_id")
    for column in ("license", "creator", "url"):
        frame[column] = frame[column].fillna("")
    if not (frame[["license", "creator", "url"]] != "").any(axis=None):
        why = (
            f"None of the {len(frame):,} images of these sets says where it is from: the clean set does not tell, and "
            "there are no images from the web. `noisyweb build --kind red` takes such."
        )
        return Section(TITLE, "", missing=why)
    frame["licence"] = frame["license"].map(lambda text: from_text(text) or text or NOT_STATED)
    frame["host"] = frame["url"].map(lambda url: host_of(url) or url or NOT_STATED)
    frame["creator"] = frame["creator"].map(lambda name: name or NOT_STATED)
    blocks: list[Figure | Table | str] = [_licences(frame), *_allowed(frame)]
    for column, what in (("host", "hosts"), ("creator", "creators")):
        blocks.append(_most(frame, column, what))
    if inputs.workspace is not None:
        blocks += _providers(frame, Workspace(inputs.workspace))
    return Section(TITLE, _lead(frame), blocks)


def _lead(frame: pd.DataFrame) -> str:
    sizes = Counter(frame["source"])
    words = {"clean": "from the clean set", "web": "from the web", "other": "from another data set"}
    parts = [f"{count:,} {words.get(source, source)}" for source, count in sorted(sizes.items())]
    lead = f"Of {len(frame):,} different images {', '.join(parts)}."
    web = frame[frame["source"] != "clean"]
    if len(web):
        stated = web[web["licence"] != NOT_STATED]
        common = Counter(stated["licence"]).most_common(3)
        most = ", ".join(f"{name} {count / len(web):.1%}" for name, count in common)
        num_hosts, num_creators = (len({*web[column]} - {NOT_STATED}) for column in ("host", "creator"))
        hosts = "1 host" if num_hosts == 1 else f"{num_hosts:,} hosts"
        lead += f" Those that are not of the clean set come from {hosts} and {num_creators:,} named creators"
        lead += f"; {len(stated) / len(web):.1%} state a licence{f' ({most})' if most else ''}."
    return lead


def _allowed(frame: pd.DataFrame) -> list[str]:
    """What the licences of images from elsewhere allow."""
    web = frame[frame["source"] != "clean"]
    if not len(web):
        return []
    counts = {name: int(web["licence"].isin(allowed).sum()) for name, allowed in TYPES.items()}
    return [
        f"Of the {len(web):,} images that are not of the clean set, {counts['commercial']:,} have a Creative Commons "
        f"licence or mark that allows commercial use, {counts['modification']:,} one that allows changes. Providers "
        "say so; verify before reuse. `ATTRIBUTION.md` beside the sets credits each image."
    ]


def _counts(frame: pd.DataFrame, column: str) -> pa.Table:
    """Images by a column's values and by source, the most frequent first."""
    sources = [name for name in _COLOURS if name in set(frame["source"])]
    counts: Mapping[str, Counter[str]] = {name: Counter(frame[frame["source"] == name][column]) for name in sources}
    total = sum(counts.values(), Counter[str]())
    names = [name for name, _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))]
    return pa.table(
        {
            column: pa.array(names, pa.string()),
            **{source: np.array([counts[source][name] for name in names], np.int64) for source in sources},
        }
    )


def _licences(frame: pd.DataFrame) -> Figure:
    data = _counts(frame, "licence")
    caption = "Licences, as providers and data sets state them; number of different images."
    return Figure("sources-licences", caption, _bars(data), data)


def _bars(data: pa.Table) -> Drawing:
    names = [label(name, 22) for name in data["licence"].to_pylist()[:MAX_ROWS]]
    figure = new_figure(90 + 28 * max(3, len(names)))
    axes = figure.axes[0]
    plain(axes, "x")
    places, left = np.arange(len(names)), np.zeros(len(names), np.int64)
    for source in data.column_names[1:]:
        counts = data[source].to_numpy()[:MAX_ROWS]
        axes.barh(places, counts, left=left, height=0.7, color=_COLOURS[source], label=source)
        left += counts
    for place, count in enumerate(left.tolist()):
        beside(axes, f"{count:,}", count, place)
    axes.set_yticks(places, names)
    axes.set_xlim(0, 1.18 * max(1, left.max()))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("images")
    figure.legend(loc="outside upper left", ncols=3)
    return figure


def _most(frame: pd.DataFrame, column: str, what: str) -> Table:
    data = _counts(frame, column)
    first = data.slice(0, MAX_ROWS).to_pylist()
    rows = [[row[column], *(f"{row[source]:,}" for source in data.column_names[1:])] for row in first]
    caption = (
        f"The {len(rows)} most frequent of {data.num_rows:,} {what}." if data.num_rows > len(rows) else f"All {what}."
    )
    return Table(f"sources-{what}", caption, data.column_names, rows, data)


def _providers(frame: pd.DataFrame, workspace: Workspace) -> Sequence[Table]:
    """Which search gave the images of the sets, by the workspace."""
    candidates = workspace.read("candidates").select(["url", "provider"]).to_pandas()
    by_url: dict[str, set[str]] = {}
    for url, provider in zip(candidates["url"], candidates["provider"], strict=True):
        by_url.setdefault(url, set()).add(provider)
    counts: Counter[str] = Counter()
    for url in frame[frame["source"] != "clean"]["url"]:
        counts.update(by_url.get(url, {"not in the workspace"}))
    if not counts:
        return []
    rows = [(name, f"{count:,}") for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    return [Table("sources-providers", "Which search found the images; some by several.", ("provider", "images"), rows)]
