"""A small web on loopback for the crawl benchmarks: photographs, many hosts, and hosts that are dead or stalled.

Not a benchmark itself; `bench_crawl.py` and `bench_crawl_memory.py` use it. Every host is an address 127.0.x.y, all at
one port, so that a crawler sees as many hosts as there are addresses. Healthy hosts are one nginx, dead ones are
addresses where nothing listens, stalled ones a server that takes connections and never answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

PHOTOS = Path(__file__).resolve().parents[3] / "shared/data/photos"
CACHE = Path(tempfile.gettempdir()) / "noisyweb-bench"
LONG_SIDE, MEAN_BYTES = 500, 45_000
CROPS = [(left, top, side) for side in (0.97, 0.94, 0.91, 0.88) for left in (0.0, 0.5, 1.0) for top in (0.0, 0.5, 1.0)]

NGINX_CONFIG = """
daemon off;
{user}
worker_processes {workers};
pid {prefix}/nginx.pid;
error_log {prefix}/error.log warn;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type application/octet-stream;
    types {{ image/jpeg jpg; text/plain txt; }}
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 65;
    keepalive_requests 100000;
    server {{
{listens}
        root {root};
        location = /robots.txt {{ return 200 "User-agent: *\\nAllow: /\\n"; }}
    }}
}}
"""


def photographs(count: int = 10_000, cache: Path = CACHE, source: Path = PHOTOS) -> Path:
    """A folder of distinct photographs ``00000.jpg``, ...: 500 px long, about 45 KB; made once, in two processes."""
    folder = cache / f"photos-{count}"
    if folder.is_dir():
        return folder
    photos = sorted(source.glob("*.jpg"))
    if not photos:
        raise SystemExit(f"{source}: no photographs; the crawl benchmarks need the files of ../shared/data/photos")
    if count > len(photos) * len(CROPS) * 2:
        raise SystemExit(f"at most {len(photos) * len(CROPS) * 2:,} distinct photographs can be made, not {count:,}")
    unfinished = cache / f"photos-{count}.tmp-{os.getpid()}"
    unfinished.mkdir(parents=True)
    quality = _quality(photos[::4])
    # each task is one photo with all its variants: image k is variant k // len(photos) of photo k % len(photos)
    tasks = [(photo, range(i, count, len(photos)), quality, unfinished) for i, photo in enumerate(photos)]
    digests: set[str] = set()
    with ProcessPoolExecutor(2) as pool:
        for made in pool.map(_variants, *zip(*tasks, strict=True), chunksize=8):
            digests.update(made)
    if len(digests) != count:
        raise SystemExit(f"{count - len(digests)} of {count} photographs are equal to another")
    unfinished.rename(folder)
    return folder


def _quality(photos: Sequence[Path]) -> int:
    """The JPEG quality at which photographs have MEAN_BYTES on average."""
    sample = [_variant(photo, 0) for photo in photos]
    low, high = 50, 98
    while low < high:
        middle = (low + high) // 2
        if sum(len(_jpeg(image, middle)) for image in sample) < MEAN_BYTES * len(sample):
            low = middle + 1
        else:
            high = middle
    return low


def _variants(photo: Path, numbers: range, quality: int, folder: Path) -> list[str]:
    digests = []
    for variant, number in enumerate(numbers):
        data = _jpeg(_variant(photo, variant), quality)
        (folder / f"{number:05d}.jpg").write_bytes(data)
        digests.append(hashlib.sha256(data).hexdigest())
    return digests


def _variant(photo: Path, variant: int) -> Image.Image:
    with Image.open(photo) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    left, top, side = CROPS[variant // 2 % len(CROPS)]
    width, height = image.width * side, image.height * side
    x, y = (image.width - width) * left, (image.height - height) * top
    scale = LONG_SIDE / max(width, height)
    size = (round(width * scale), round(height * scale))
    image = image.resize(size, Image.Resampling.LANCZOS, (x, y, x + width, y + height))
    if variant % 2:
        image = ImageOps.mirror(image)
    return ImageEnhance.Brightness(image).enhance((1.0, 0.92, 1.08)[variant % 3])


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


@contextlib.contextmanager
def web(
    folder: Path,
    count: int,
    *,
    hosts: int = 200,
    dead: int = 0,
    stalled: int = 0,
    workers: int = 1,
    seed: int = 0,
) -> Iterator[list[str]]:
    """Serve a folder's photographs while the block runs; yields ``count`` URLs in random order.

    Above the number of photographs they come again under other URLs (``?n=1``, ...). Each host has equally many URLs.

    Args:
        folder: of `photographs`.
        count: URLs.
        hosts: addresses 127.0.x.y.
        dead: of these, refuse connections.
        stalled: of these, take connections and never answer.
        workers: nginx processes.
        seed: for the order of the URLs and which hosts are ill.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and folders go, too
    names = sorted(path.name for path in folder.glob("*.jpg"))
    addresses = [f"127.0.{1 + i // 254}.{1 + i % 254}" for i in range(hosts)]
    chance = random.Random(seed)
    ill = chance.sample(addresses, dead + stalled)
    healthy = [address for address in addresses if address not in set(ill)]
    port = _free_port()
    urls = []
    for i in range(count):
        again, k = divmod(i, len(names))
        urls.append(f"http://{addresses[i % hosts]}:{port}/{names[k]}" + (f"?n={again}" if again else ""))
    chance.shuffle(urls)
    for name in names:  # into the page cache
        (folder / name).read_bytes()
    with contextlib.ExitStack() as stack:
        if stalled:
            stack.enter_context(_stalled_hosts(ill[:stalled], port))
        stack.enter_context(_nginx(folder, healthy, port, workers))
        yield urls


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))  # free at every loopback address
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _nginx(root: Path, addresses: Sequence[str], port: int, workers: int) -> Iterator[None]:
    program = shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("nginx not found; the crawl benchmarks need it (Debian: apt-get install nginx-light)")
    with tempfile.TemporaryDirectory(prefix="noisyweb-nginx-") as prefix:
        listens = "\n".join(f"        listen {address}:{port} backlog=4096;" for address in addresses)
        config = Path(prefix) / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""  # else workers cannot read a private temporary folder
        config.write_text(
            NGINX_CONFIG.format(user=user, workers=workers, prefix=prefix, listens=listens, root=root.resolve())
        )
        log = Path(prefix) / "error.log"
        with _running([program, "-p", prefix, "-e", str(log), "-c", str(config)]) as process:
            for address in (addresses[0], addresses[-1]):
                _wait_for(f"http://{address}:{port}/robots.txt", process, log)
            yield


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path, limit_s: float = 10.0) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end_s = time.monotonic() + limit_s
    while True:
        try:
            opener.open(url, timeout=2).read()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > end_s:
                said = log.read_text() if log.exists() else ""
                raise SystemExit(f"nginx does not serve {url}: {error}\n{said}") from error
            time.sleep(0.05)


@contextlib.contextmanager
def _stalled_hosts(addresses: Sequence[str], port: int) -> Iterator[None]:
    command = [sys.executable, __file__, "stall", json.dumps([list(addresses), port])]
    with _running(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise SystemExit("the server of stalled hosts did not start")
        yield


@contextlib.contextmanager
def _running(command: Sequence[str], stdout: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=stdout) as process:
        try:
            yield process
        finally:
            process.terminate()


async def _stall(addresses: Sequence[str], port: int) -> None:
    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(4096):
                pass
        writer.close()

    for address in addresses:
        await asyncio.start_server(never_answer, address, port, backlog=4096)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:2] != ["stall"]:
        raise SystemExit("not a benchmark: see bench_crawl.py")
    asyncio.run(_stall(*json.loads(sys.argv[2])))
