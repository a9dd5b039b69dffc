"""Running the annotation page: one process, one port, until it is told to stop."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from noisyweb.annotate.book import Book
from noisyweb.atomic import held_alone
from noisyweb.errors import LabelError, MissingExtraError
from noisyweb.store import ImageStore
from noisyweb.workspace import Workspace

if TYPE_CHECKING:
    import uvicorn

    from noisyweb.annotate.guard import Guard
    from noisyweb.annotate.handout import Handout

MAX_CONNECTIONS = 1_000


@dataclass(frozen=True)
class ServeOptions:
    """How the page is served.

    Attributes:
        host: address to listen at; this machine alone by default.
        port: 0 for any free one.
        origins: what browsers call it if a proxy stands in front, such as ``https://label.example.org``.
        certificate, key: PEM files for https; both or neither.
        first: votes a question gets at least.
        known_share: how many known-answer questions come for each real one.
        seed: of the order of the questions.
    """

    host: str = "127.0.0.1"
    port: int = 8100
    origins: Sequence[str] = field(default=())
    certificate: Path | None = None
    key: Path | None = None
    first: int = 3
    known_share: float = 0.1
    seed: int = 0


def check_packages() -> None:
    """Raise `MissingExtraError` where starlette or uvicorn is not installed."""
    for package in ("starlette", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "label", "the annotation page")


def serve(
    workspace: Workspace, options: ServeOptions, begin: Callable[[Book], None], ready: Callable[[str], None]
) -> None:
    """Serve the page until SIGINT or SIGTERM. Call it from the main thread.

    Args:
        workspace: whose questions are asked.
        options: how.
        begin: called with the book once nothing stands in the way of serving; `noisyweb.annotate.prepare.prepare` is
            to be done there.
        ready: called with the page's address, without a slash at the end, once it can be opened.

    Raises:
        LabelError: the port is taken, the address is not this machine's, or another server serves this workspace.
        MissingExtraError: starlette or uvicorn is not installed.
    """
    check_packages()
    import uvicorn

    # Two servers would not know of each other's answers and hand out too many questions.
    taken = LabelError(f"workspace {workspace.folder}: its annotation page is open already; stop that server first")
    with held_alone(workspace.on_disk() / ".labels.lock", taken), _listening(options) as listener:
        scheme = "https" if options.certificate else "http"
        host, port = listener.getsockname()[:2]
        address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        _check_certificate(options)
        _log_errors()
        book = Book(workspace.on_disk())
        try:
            begin(book)
        finally:
            book.close()
        with _application(workspace, options, f"noisyweb-{port}") as app:
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                ws="none",
                limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=5,
                ssl_certfile=options.certificate,
                ssl_keyfile=options.key,
            )
            _run(uvicorn.Server(config), listener, lambda: ready(address))


def _log_errors() -> None:
    """What goes wrong in a request is told on standard error, and nothing else is."""
    log = logging.getLogger("uvicorn")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("annotation page: %(message)s"))
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.ERROR)


def _check_certificate(options: ServeOptions) -> None:
    if options.certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(options.certificate, options.key)
    except (OSError, ssl.SSLError) as error:
        raise LabelError(
            f"https: {options.certificate} and {options.key} cannot be used ({error}); expected a certificate and its "
            "key as PEM files"
        ) from None


def _run(server: uvicorn.Server, listener: socket.socket, ready: Callable[[], None]) -> None:
    import asyncio

    async def run() -> None:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if server.started:
            ready()
        await serving

    # uvicorn ends in good order at SIGINT and SIGTERM, and then raises the signal again.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(run())
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _application(workspace: Workspace, options: ServeOptions, cookie: str) -> Iterator[Guard]:
    from noisyweb.annotate.app import AnnotationApp
    from noisyweb.annotate.handout import Handout
    from noisyweb.annotate.pictures import Pictures
    from noisyweb.annotate.prepare import references
    from noisyweb.annotate.writer import Writer

    reader, written = Book(workspace.on_disk()), Book(workspace.on_disk())
    handout = Handout(reader.questions(), first=options.first, known_share=options.known_share, seed=options.seed)
    answers = reader.answers()
    handout.load(itertools.chain(answers, _answers_elsewhere(workspace, handout, answers)))
    writer = Writer(written)
    try:
        yield AnnotationApp(
            reader,
            writer,
            handout,
            Pictures(ImageStore(workspace.on_disk() / "store"), references(workspace)),
            workspace.class_names(),
            reader.samples(),
            cookie=cookie,
        ).asgi(options.origins)
    finally:
        writer.close()
        reader.close()
        written.close()


def _answers_elsewhere(
    workspace: Workspace, handout: Handout, answers: Sequence[tuple[str, str, str]]
) -> Iterator[tuple[str, str, str]]:
    """What people answered by other ways, or in a book that is gone: an image that has its votes needs no more."""
    ids = {(question.image_id, question.label): question.id for question in handout.questions}
    here = {(question, annotator) for annotator, question, _ in answers}
    votes = workspace.read("votes").select(["image_id", "label", "annotator", "answer", "is_weak"]).to_pydict()
    for image_id, label, annotator, answer, is_weak in zip(*votes.values(), strict=True):
        question = ids.get((image_id, label))
        if question is not None and not is_weak and (question, annotator) not in here:
            yield annotator, question, answer


@contextlib.contextmanager
def _listening(options: ServeOptions) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        listener = socket.create_server((options.host, options.port), family=family, backlog=256)
    except (OSError, OverflowError) as error:
        raise LabelError(
            f"annotation page: cannot listen at {options.host} port {options.port} ({error}); "
            "name another with --host and --port"
        ) from None
    with listener:
        # Else a reply's body waits 40 ms for the receipt of its head; asyncio sets it only on sockets it made itself.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener
