"""CPU time of one drawn image, on one thread: `python tests/benchmarks/bench_draw.py [number of images]`."""

from __future__ import annotations

import sys
import time

from noisyweb.drawn.draw import draw_car
from noisyweb.drawn.pictures import draw_hit
from noisyweb.drawn.vocabulary import cars
from noisyweb.drawn.web import hits_of


def main() -> None:
    """Print milliseconds an image, and bytes an image."""
    num_images = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    names = cars().class_names
    for name in names:  # the classes' sketches are made once
        draw_car(name, "warm-up", 0)
    begin = time.thread_time()
    sizes = [len(draw_car(names[k % len(names)], "train", k)) for k in range(num_images)]
    seconds = time.thread_time() - begin
    print(f"clean images: {seconds / num_images * 1000:.2f} ms, {sum(sizes) / num_images:,.0f} bytes")
    hits = [hit for label in range(24) for hit in hits_of(label)]
    begin = time.thread_time()
    sizes = [len(draw_hit(hit, names[hit.label])) for hit in hits]
    seconds = time.thread_time() - begin
    print(f"web images: {seconds / len(hits) * 1000:.2f} ms, {sum(sizes) / len(hits):,.0f} bytes")


if __name__ == "__main__":
    main()
