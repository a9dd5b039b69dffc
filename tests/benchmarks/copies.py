"""What people do to photographs before they put them on the web again: the copies that dedup is measured on."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

Copy = Callable[[Image.Image, np.random.Generator], Image.Image]


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Encoded as the web would have it."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _resize(factor: float) -> Copy:
    def copy(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        return image.resize(size, Image.Resampling.BICUBIC)

    return copy


def _recompress(quality: int) -> Copy:
    return lambda image, rng: Image.open(io.BytesIO(jpeg(image, quality))).convert("RGB")


def _blur(radius: float) -> Copy:
    """Gaussian, ``radius`` pixels of an image whose shorter side is 375."""
    return lambda image, rng: image.filter(ImageFilter.GaussianBlur(radius * min(image.size) / 375))


def _noise(sigma: float) -> Copy:
    def copy(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        pixels = np.asarray(image).astype(np.float32)
        return Image.fromarray(np.clip(pixels + rng.normal(0, sigma, pixels.shape), 0, 255).astype(np.uint8))

    return copy


def _gamma(gamma: float) -> Copy:
    table = [round(255 * (value / 255) ** gamma) for value in range(256)]
    return lambda image, rng: image.point(table * 3)


def _watermark(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Half-transparent text across the middle, as stock photographs have it."""
    layer = Image.new("RGBA", image.size)
    font = ImageFont.load_default(max(10, image.width // 8))
    at = (image.width * rng.uniform(0.02, 0.2), image.height * rng.uniform(0.3, 0.6))
    ImageDraw.Draw(layer).text(at, "sample photo", (255, 255, 255, 110), font)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def _banner(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A plain strip with text over a tenth of the height, at the top or at the bottom."""
    copy = image.copy()
    pen = ImageDraw.Draw(copy)
    height = max(8, round(image.height * 0.1))
    top = 0 if rng.random() < 0.5 else image.height - height
    paper, ink = [("black", "white"), ("white", "black"), ("#b02020", "white")][rng.integers(3)]
    pen.rectangle((0, top, image.width, top + height), fill=paper)
    pen.text((image.width * 0.03, top + height * 0.1), "www.photos.example", ink, ImageFont.load_default(height * 0.7))
    return copy


def _crop(share: float) -> Copy:
    """So much of the width and of the height goes, the rest is taken from a random place."""

    def copy(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = round(image.width * (1 - share)), round(image.height * (1 - share))
        left, top = rng.integers(0, image.width - width + 1), rng.integers(0, image.height - height + 1)
        return image.crop((int(left), int(top), int(left) + width, int(top) + height))

    return copy


def _pad(share: float) -> Copy:
    """Plain borders, so much of the width and of the height at each side, of a random colour."""

    def copy(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        grey = int(rng.integers(256))
        colour = [(0, 0, 0), (255, 255, 255), (grey, grey, grey), tuple(rng.integers(0, 256, 3).tolist())]
        border = (round(image.width * share), round(image.height * share))
        return ImageOps.expand(image, border, colour[rng.integers(4)])

    return copy


def _rotate(degrees: float) -> Copy:
    """About the middle, either way, at the same size; the corners are black or white."""

    def copy(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        sign = 1 if rng.random() < 0.5 else -1
        fill = (0, 0, 0) if rng.random() < 0.5 else (255, 255, 255)
        return image.rotate(sign * degrees, Image.Resampling.BICUBIC, fillcolor=fill)

    return copy


PHOTOMETRIC: Mapping[str, Copy] = {
    **{f"resize {factor:g}x": _resize(factor) for factor in (0.25, 0.5, 0.75, 1.5, 2)},
    **{f"jpeg q {quality}": _recompress(quality) for quality in (10, 20, 30, 50, 75, 95)},
    **{f"blur {radius:g} px": _blur(radius) for radius in (1, 2)},
    **{f"noise {sigma:g}": _noise(sigma) for sigma in (10, 20)},
    **{f"gamma {gamma:g}": _gamma(gamma) for gamma in (0.5, 0.7, 1.4, 2)},
    "greyscale": lambda image, rng: ImageOps.grayscale(image).convert("RGB"),
    "watermark": _watermark,
    "text banner": _banner,
}
GEOMETRIC: Mapping[str, Copy] = {
    "mirror": lambda image, rng: ImageOps.mirror(image),
    **{f"crop {share * 100:g} %": _crop(share) for share in (0.02, 0.05, 0.1, 0.2)},
    **{f"pad {share * 100:g} %": _pad(share) for share in (0.05, 0.2)},
    **{f"rotate {degrees:g} degrees": _rotate(degrees) for degrees in (2, 4, 10)},
}
COPIES: Mapping[str, Copy] = {**PHOTOMETRIC, **GEOMETRIC}


def copies(data: bytes, seed: int) -> dict[str, bytes]:
    """All copies of one encoded photograph, encoded as JPEG of quality 90."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    rng = np.random.default_rng(seed)
    return {name: jpeg(copy(image, rng)) for name, copy in COPIES.items()}
