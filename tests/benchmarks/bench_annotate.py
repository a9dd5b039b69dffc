"""The annotation page under load: answers a second over loopback, and how soon the next image is on the screen.

    python tests/benchmarks/bench_annotate.py

Prints Markdown rows: the figure, the bound, and their ratio (above 1 is better than asked).

- Answers: several annotators in one client process, each sending one answer a request and asking for one more question,
  as the page does; then twelve at a time, as its grid does. Each answer is on the disk before the reply.
- Screen: a headless Chromium answers by keys; from the key to the frame that shows the next image.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from noisyweb.workspace import Workspace
from tests.annotation import PageServer
from tests.browser import chromium

MIN_ANSWERS_PER_S, MAX_SCREEN_MS = 300, 100

_WATCH = """
window.delays = [];
let since = null;
addEventListener("keydown", () => { since = performance.now(); }, true);
new MutationObserver(() => {
  const image = document.querySelector("#image img");
  if (since === null || !image) return;
  const start = since;
  since = null;
  const seen = () => requestAnimationFrame(() => setTimeout(() => window.delays.push(performance.now() - start)));
  image.decode().then(seen);
}).observe(document, { childList: true, subtree: true });
"""


def make_workspace(folder: Path, num_images: int) -> Workspace:
    """Photograph-like images of 500 x 375 pixels, about 45 KB each."""
    place = Workspace(folder, create=True)
    place.set_class_names([f"class {number}" for number in range(10)])
    rng = np.random.default_rng(0)
    with place.journal("images") as journal:
        for number in range(num_images):
            rough = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
            data = io.BytesIO()
            rough.resize((500, 375), Image.Resampling.BICUBIC).save(data, "JPEG", quality=88)
            row = {"url": f"http://x/{number}", "label": number % 10, "status": "ok", "retry": False, "attempts": 1}
            journal.add({**row, "image_id": place.put(data.getvalue())})
    place.fold("images")
    return place


async def load(address: str, links: dict[str, str], seconds: float, batch: int) -> tuple[int, list[float]]:
    """Everybody answers as fast as they can; gives the answers saved and each request's seconds."""
    stop = time.perf_counter() + seconds
    saved, waits = 0, []

    async def work(name: str, token: str) -> None:
        nonlocal saved
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(address, cookie_jar=jar, headers={"Origin": address}) as session:
            async with session.post("/api/sign-in", json={"name": name, "token": token}) as reply:
                assert reply.status == 200, await reply.text()
            votes: list[dict[str, Any]] = []
            held: list[str] = []
            while time.perf_counter() < stop:
                start = time.perf_counter()
                body = {"votes": votes, "held": held, "want": batch + 6 - len(held)}
                async with session.post("/api/work", json=body) as reply:
                    told = await reply.json()
                waits.append(time.perf_counter() - start)
                saved += told["saved"]
                held += [task["id"] for task in told["tasks"]]
                if not held:
                    return
                votes = [{"id": each, "answer": "yes", "seconds": 1.0} for each in held[:batch]]
                held = held[batch:]

    await asyncio.gather(*(work(name, link.rpartition(":")[2]) for name, link in links.items()))
    return saved, waits


def measure_answers(folder: Path, people: int, seconds: float, batch: int) -> None:
    """One Markdown row."""
    names = [f"person {number}" for number in range(people)]
    with PageServer(folder, names, "--votes", "9") as server:
        start = time.perf_counter()
        saved, waits = asyncio.run(load(server.address, server.links, seconds, batch))
        rate = saved / (time.perf_counter() - start)
    for name in ("labels.sqlite", "labels.sqlite-wal", "labels.sqlite-shm", "votes.parquet", "verdicts.parquet"):
        (folder / name).unlink(missing_ok=True)  # the next figure begins anew
    middle, late = statistics.median(waits) * 1e3, statistics.quantiles(waits, n=20)[-1] * 1e3
    print(
        f"| {people} annotators, {batch} a request | {rate:,.0f} answers/s | {MIN_ANSWERS_PER_S}/s | "
        f"{rate / MIN_ANSWERS_PER_S:.1f} | reply {middle:.0f} ms, 95 % under {late:.0f} ms |",
        flush=True,
    )


def measure_screen(folder: Path, answers: int) -> None:
    """One Markdown row."""
    with PageServer(folder, ["anna"]) as server, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(_WATCH)
        page.goto(server.links["anna"])
        page.wait_for_selector("#image img")
        for number in range(answers):
            page.wait_for_function("() => document.querySelector('#image img')?.complete")
            page.keyboard.press("yn"[number % 2])
            page.wait_for_function("(done) => window.delays.length >= done", arg=number + 1)
        delays = page.evaluate("() => window.delays")
    middle, late = statistics.median(delays), statistics.quantiles(delays, n=20)[-1]
    print(
        f"| answer to next image on the screen, {answers} answers | {middle:.0f} ms | {MAX_SCREEN_MS} ms | "
        f"{MAX_SCREEN_MS / middle:.1f} | 95 % under {late:.0f} ms |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4_000)
    parser.add_argument("--people", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--answers", type=int, default=200, help="keys pressed in the browser")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores\n\n| what | median | bound | ratio | more |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "w"
        make_workspace(folder, options.images)
        for batch in (1, 12):
            measure_answers(folder, options.people, options.seconds, batch)
        measure_screen(folder, options.answers)


if __name__ == "__main__":
    main()
