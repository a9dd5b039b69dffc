"""What an image looks like, small: its grey picture at 128 x 128, and the same without its plain borders.

Everything that looks for cropped, padded, mirrored or rotated copies works on these: the views (`noisyweb.views`) are
hashes of parts of a face, and candidates are checked by laying one face over the other (`noisyweb.register`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from noisyweb.decode import DAMAGE, DRAFT_SIDE, NotUsableError, load, open_header, to_rgb
from noisyweb.reduced import open_reduced, to_grey

SIDE = 128
BORDER_TOLERANCE = 12
"""Grey levels by which a border's pixels may differ from its own: JPEG's ringing beside an edge."""

CHROMA_SIDE = 32

Grey = npt.NDArray[np.uint8]
Chroma = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Face:
    """A picture, or the part of it that its plain borders leave.

    Attributes:
        grey: shape (128, 128), whatever the picture's own shape.
        aspect: its width by its height.
        chroma: Cb and Cr from -128 to 127, shape (2, 32, 32), where they were asked for.
        box: left, top, width and height of the part, as shares of the whole picture.
    """

    grey: Grey
    aspect: float
    chroma: Chroma | None = None
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    @property
    def is_trimmed(self) -> bool:
        """Whether plain borders were cut off."""
        return self.box != (0.0, 0.0, 1.0, 1.0)


def faces(data: bytes) -> list[Face] | None:
    """The faces of encoded image bytes: one, or two where there are plain borders; None if they cannot be decoded."""
    try:
        image, _ = open_reduced(data)
        return faces_of(to_grey(image))
    except NotUsableError:
        return None


def coloured_faces(data: bytes) -> list[Face] | None:
    """As `faces`, with their colours: for the few that are to be compared closely."""
    try:
        image = open_header(data)
        if image.mode == "RGB" and min(image.size) >= 2 * DRAFT_SIDE:
            image.draft("RGB", (DRAFT_SIDE, DRAFT_SIDE))
        load(image)
        rgb = image if image.mode == "RGB" else to_rgb(image)
        return faces_of(rgb.convert("L"), rgb.convert("YCbCr"))
    except (NotUsableError, *DAMAGE):
        return None


def faces_of(grey: Image.Image, colours: Image.Image | None = None) -> list[Face]:
    """The faces of a decoded picture.

    Args:
        grey: the picture in mode L.
        colours: the same in mode YCbCr, where colours are wanted.
    """
    boxes = [(0, 0, *grey.size)]
    inner = border_box(np.asarray(grey))
    if inner != boxes[0]:
        boxes.append(inner)
    return [_face(grey, colours, box) for box in boxes]


def _face(grey: Image.Image, colours: Image.Image | None, box: tuple[int, int, int, int]) -> Face:
    left, top, right, bottom = box
    size = (right - left, bottom - top)
    if size != grey.size:
        grey, whole = grey.crop(box), grey.size
        shares = (left / whole[0], top / whole[1], size[0] / whole[0], size[1] / whole[1])
    else:
        shares = (0.0, 0.0, 1.0, 1.0)
    chroma = None
    if colours is not None:
        small = colours.crop(box).resize((CHROMA_SIDE, CHROMA_SIDE), Image.Resampling.BOX)
        chroma = np.asarray(small)[:, :, 1:].transpose(2, 0, 1).astype(np.float32) - 128
    return Face(_square(grey), size[0] / size[1], chroma, shares)


def _square(grey: Image.Image) -> Grey:
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.HAMMING))


def border_box(grey: Grey) -> tuple[int, int, int, int]:
    """What plain borders leave of a picture: left, top, right, bottom in pixels.

    A line belongs to a border if 98 % of its pixels are within `BORDER_TOLERANCE` of the outermost line's median.
    Where less than 30 % of a side would be left, nothing is cut.

    Args:
        grey: shape (height, width).
    """
    levels = grey.astype(np.int16)
    top, bottom = _plain_lines(levels)
    left, right = _plain_lines(levels[top:bottom].T)
    top, bottom = _plain_lines(levels[:, left:right])  # side borders may have hidden a border above
    return left, top, right, bottom


def _plain_lines(lines: npt.NDArray[np.int16]) -> tuple[int, int]:
    """The first line that is no border, and the one after the last."""
    first, last = _plain_run(lines), len(lines) - _plain_run(lines[::-1])
    return (first, last) if last - first >= max(8, 0.3 * len(lines)) else (0, len(lines))


def _plain_run(lines: npt.NDArray[np.int16]) -> int:
    """How many lines from the first on are plain and alike."""
    level = np.partition(lines[0], lines.shape[1] // 2)[lines.shape[1] // 2]
    most = 0.02 * lines.shape[1]
    for number, line in enumerate(lines):  # seldom more than one, so not all of them at once
        if np.count_nonzero(np.abs(line - level) > BORDER_TOLERANCE) > most:
            return number
    return len(lines)
