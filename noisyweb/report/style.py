"""How the report's charts look: colours, sizes, and text of strangers made safe to draw.

Charts are drawn at the width of a phone, so that their text is still read there; taller rather than wider.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from noisyweb import gallery_draw
from noisyweb.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_PX = 460
"""Of a chart: it fills a phone, and two stand side by side on a desk."""

TEXT_PX, SMALL_PX = 13, 12
_SALT = "noisyweb report"

INK, PALE = gallery_draw.INK, gallery_draw.PALE
GRID, PAPER = "#dde2e8", "#ffffff"
WRONG, CLEAN = "#d9822b", "#2f7d6b"
KINDS = {
    "red": "#d1495b",
    "blue": "#2e6f9e",
    "human": "#8e5572",
    "clean": "#6b7480",
    "instance": "#b5772a",
    "nearest": "#0f8b8d",
    "pair": "#3a7d44",
    "asymmetric": "#7a4f9a",
    "open-set": "#4a5568",
}
SERIES = ("#2e6f9e", "#d9822b", "#3a7d44", "#8e5572", "#0f8b8d", "#b03a4e", "#6b7480", "#a08000")
"""For things without a colour of their own, such as methods."""

DARK = {
    INK: "#e6eaef",
    PALE: "#a3adb8",
    GRID: "#37414d",
    PAPER: "#161b22",
    WRONG: "#eb9c4d",
    CLEAN: "#4db39b",
    "#d1495b": "#ec6f80",
    "#2e6f9e": "#5fa5d8",
    "#8e5572": "#c78bab",
    "#6b7480": "#9aa5b1",
    "#b5772a": "#dda052",
    "#0f8b8d": "#3fbfc1",
    "#3a7d44": "#67b573",
    "#7a4f9a": "#b18ad0",
    "#4a5568": "#8c9aaf",
    "#b03a4e": "#e0717f",
    "#a08000": "#d0b030",
}
"""What each colour of a drawing becomes on a dark page."""


def kind_colours(kinds: Iterable[str]) -> dict[str, str]:
    """A colour for each kind of noise, the same in every chart."""
    spare = [colour for colour in SERIES if colour not in KINDS.values()]
    own = sorted({kind for kind in kinds if kind not in KINDS})
    return {**KINDS, **{kind: spare[place % len(spare)] for place, kind in enumerate(own)}}


def series_colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, in the order in which they come."""
    return {name: SERIES[place % len(SERIES)] for place, name in enumerate(dict.fromkeys(names))}


def label(text: str, limit: int = 30) -> str:
    """Text of strangers for a chart: without control characters, shortened, and never taken for mathematics."""
    return gallery_draw.printable(text, limit).replace("$", r"\$")


def method_words(method: str) -> str:
    """What a training method is called."""
    return "plain training" if method == "standard" else method


def new_figure(height_px: float, panels: int = 1, *, width_px: float = WIDTH_PX, share_x: bool = True) -> Figure:
    """An empty chart with ``panels`` axes below each other, its ``axes``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with drawing():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width_px / 72, height_px / 72), dpi=72, layout="constrained")
        for axes in figure.subplots(panels, 1, squeeze=False, sharex=share_x)[:, 0]:
            plain(axes)
    return figure


def plain(axes: Axes, grid: str = "y") -> None:
    """Take the frame away and draw a faint grid behind the data.

    Args:
        axes: a chart's.
        grid: x, y or both.
    """
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(False)
    axes.grid(True, axis=grid)  # type: ignore[arg-type]


def legend_above(
    figure: Figure, loc: Literal["outside upper left", "outside upper right"] = "outside upper left"
) -> None:
    """Put a legend over a chart, in three columns or as many as names leave room for; the chart grows with it."""
    width, height = figure.get_size_inches()
    for columns in (3, 2, 1):
        legend = figure.legend(loc=loc, ncols=columns)
        box = legend.get_window_extent()
        if columns == 1 or box.width <= figure.bbox.width:
            break
        legend.remove()
    # The height that was asked for has room for one line.
    figure.set_size_inches(width, height + max(0.0, box.height / figure.dpi - 2 * SMALL_PX / 72))


def percent_axis(axes: Axes, which: str = "y") -> None:
    """Write an axis of shares as percentages."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(lambda share, _: f"{100 * share:.6g}%")


def whole_numbers(axes: Axes) -> None:
    """Put ticks of the x axis on whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Draw in the report's style, whatever the user's own settings are.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        import matplotlib.figure
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise MissingExtraError("matplotlib", "report", "the report") from None
    if mpl.rcParams["svg.hashsalt"] == _SALT:  # already in it
        yield
        return
    with mpl.rc_context(), warnings.catch_warnings():
        # A name in a script that the font lacks: boxes in the PNG, right in the page and in the CSV.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        mpl.rcdefaults()
        mpl.rcParams.update(_settings())
        yield


def _settings() -> dict[Any, Any]:
    return {
        "font.size": TEXT_PX,
        "axes.titlesize": TEXT_PX,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": TEXT_PX,
        "xtick.labelsize": SMALL_PX,
        "ytick.labelsize": SMALL_PX,
        "legend.fontsize": SMALL_PX,
        "legend.frameon": False,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.edgecolor": PALE,
        "xtick.color": PALE,
        "ytick.color": PALE,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "grid.color": GRID,
        "grid.linewidth": 1,
        "lines.linewidth": 2,
        "axes.facecolor": "none",
        "figure.facecolor": PAPER,
        "svg.fonttype": "none",
        "svg.hashsalt": _SALT,
    }


def beside(axes: Axes, words: str, x: float, y: float) -> None:
    """Write a bar's number to the right of its end, at a distance that does not hang on the scale."""
    axes.annotate(words, (x, y), xytext=(4, 0), textcoords="offset points", va="center", color=PALE)
