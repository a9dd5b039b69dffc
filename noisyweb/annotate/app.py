"""The annotation page's server: signing in, handing out questions, taking answers, showing images."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from noisyweb.annotate import roster
from noisyweb.annotate.book import Book, Question, record
from noisyweb.annotate.guard import MAX_BODY_BYTES, Guard
from noisyweb.annotate.handout import Handout
from noisyweb.annotate.pictures import Pictures
from noisyweb.annotate.writer import Writer
from noisyweb.errors import NoisywebError
from noisyweb.schemas import ANSWERS

MAX_VOTES, MAX_TASKS, MAX_HELD = 200, 60, 200
MAX_SECONDS = 600.0
"""An annotator who took longer than this was away."""
READ_S = 30.0

_PAGE = {
    "": ("index.html", "text/html"),
    "page.js": ("page.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
}


@dataclass(frozen=True)
class Vote:
    """One answer as the page sends it; ``answer`` is None where an earlier one is taken back."""

    question: str
    answer: str | None
    seconds: float | None


class AnnotationApp:
    """What the routes share.

    Args:
        book: the book; its connection is the event loop's, for reading and for sessions.
        writer: writes answers, over a connection of its own.
        handout: who is asked what next.
        pictures: the images.
        class_names: the vocabulary.
        samples: image ids of each label's clean images.
        cookie: the session cookie's name; browsers share cookies between the ports of a host.
    """

    def __init__(
        self,
        book: Book,
        writer: Writer,
        handout: Handout,
        pictures: Pictures,
        class_names: Sequence[str],
        samples: Mapping[int, Sequence[str]],
        *,
        cookie: str = "noisyweb",
    ) -> None:
        self._ballots, self._writer, self._handout, self._pictures = book, writer, handout, pictures
        self._class_names, self._samples = class_names, samples
        self._cookie = cookie
        self._known_ids, self._book_name = book.ids(), book.name

    def asgi(self, origins: Collection[str] = ()) -> Guard:
        """The ASGI application, guarded; ``origins`` are those of a proxy in front of it."""
        folder = resources.files("noisyweb.annotate") / "page"
        self._files = {
            name: ((folder / file).read_bytes(), f"{kind}; charset=utf-8") for name, (file, kind) in _PAGE.items()
        }
        routes = [
            Route("/", self.page),
            Route("/{name}", self.page, methods=["GET"]),
            Route("/api/sign-in", self.sign_in, methods=["POST"]),
            Route("/api/sign-out", self.sign_out, methods=["POST"]),
            Route("/api/work", self.work, methods=["POST"]),
            Route("/image/{question}", self.image),
            Route("/sample/{label:int}/{place:int}", self.sample),
        ]
        return Guard(Starlette(routes=routes, exception_handlers={NoisywebError: _unable}), origins)

    async def page(self, request: Request) -> Response:
        """The page and its two files."""
        name = request.path_params.get("name", "")
        if name == "favicon.ico":  # browsers ask by themselves
            return Response(status_code=204)
        found = self._files.get(name)
        if found is None:
            return JSONResponse({"error": "no such page"}, 404)
        return Response(found[0], headers={"Content-Type": found[1], "Cache-Control": "no-cache"})

    async def sign_in(self, request: Request) -> Response:
        """Exchange an annotator's name and token for a session."""
        body = await _json(request)
        name, token = (body.get("name"), body.get("token")) if isinstance(body, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(token, str):
            return JSONResponse({"error": "expected a name and a token"}, 400)
        cookie = roster.sign_in(self._ballots, name.strip(), token.strip())
        if cookie is None:
            return JSONResponse({"error": "this name and token do not belong together; ask the owner for a link"}, 403)
        response = JSONResponse({"annotator": name.strip(), "book": self._book_name})
        is_secure = request.headers["origin"].startswith("https:")  # as the browser says, also behind a proxy
        response.set_cookie(
            self._cookie, cookie, httponly=True, samesite="strict", secure=is_secure, max_age=90 * 86_400
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        roster.sign_out(self._ballots, request.cookies.get(self._cookie, ""))
        response = JSONResponse({})
        response.delete_cookie(self._cookie)
        return response

    async def work(self, request: Request) -> Response:
        """Take answers and give questions: one round trip for both.

        Asked with ``{"annotator", "book", "votes": [{"id", "answer", "seconds"}], "held": [id], "want": n}``: whose
        answers they are and of which book, if the page knows, and the questions that it still has. Answered with
        ``{"annotator", "book", "saved": n, "refused": [id], "tasks": [{"id", "label", "class_name", "samples"}],
        "progress": {"answered", "open", "left", "questions"}}``.
        An answer may be sent again if the reply was lost: it counts once.
        """
        annotator = self._annotator(request)
        if annotator is None:
            return JSONResponse({"error": "sign in first"}, 401)
        body = await _json(request)
        asked = _work_of(body)
        if asked is None:
            return JSONResponse({"error": "expected votes, held and want as the page sends them"}, 400)
        votes, held, want = asked
        if body.get("annotator") not in (None, annotator):  # browsers share the session among their tabs
            return JSONResponse({"error": f"this browser is signed in as {annotator} now"}, 409)
        if body.get("book") not in (None, self._book_name):  # ... and the storage among all that came from one address
            return JSONResponse({"error": "another workspace is served here now"}, 409)
        valid = [vote for vote in votes if vote.question in self._known_ids]
        if valid:
            now_ms = time.time_ns() // 1_000_000

            def write(sql: Any) -> list[str | None]:
                return [record(sql, annotator, vote.question, vote.answer, vote.seconds, now_ms) for vote in valid]

            earlier = await asyncio.wrap_future(self._writer.submit(write))
            for vote, before in zip(valid, earlier, strict=True):
                if self._handout.question(vote.question) is not None:  # else it was asked before the last start
                    self._handout.answered(annotator, vote.question, before, vote.answer)
        tasks = self._handout.take(annotator, want, time.monotonic(), held)
        return JSONResponse(
            {
                "annotator": annotator,
                "book": self._book_name,
                "saved": len(valid),
                "refused": [vote.question for vote in votes if vote.question not in self._known_ids],
                "tasks": [self._task(task) for task in tasks],
                "progress": {
                    "answered": self._handout.num_answered(annotator),
                    "open": self._handout.num_open,
                    "left": self._handout.num_left(annotator),
                    "questions": self._handout.num_real,
                },
            }
        )

    async def image(self, request: Request) -> Response:
        """The image of a question."""
        if self._annotator(request) is None:
            return JSONResponse({"error": "sign in first"}, 401)
        question = self._handout.question(request.path_params["question"])
        return await self._picture(question.image_id if question else None)

    async def sample(self, request: Request) -> Response:
        """A clean image of a class."""
        if self._annotator(request) is None:
            return JSONResponse({"error": "sign in first"}, 401)
        images = self._samples.get(request.path_params["label"], ())
        place = request.path_params["place"]
        return await self._picture(images[place] if place < len(images) else None)

    async def _picture(self, image_id: str | None) -> Response:
        found = await self._pictures.get(image_id) if image_id is not None else None
        if found is None:
            return JSONResponse({"error": "no such image"}, 404)
        # An image opened by itself can run nothing either.
        headers = {"Content-Type": found[1], "Content-Security-Policy": "default-src 'none'; sandbox"}
        return Response(found[0], headers=headers | {"Cache-Control": "private, max-age=86400, immutable"})

    def _task(self, question: Question) -> dict[str, Any]:
        return {
            "id": question.id,
            "label": question.label,
            "class_name": self._class_names[question.label],
            "samples": len(self._samples.get(question.label, ())),
        }

    def _annotator(self, request: Request) -> str | None:
        cookie = request.cookies.get(self._cookie)
        return roster.annotator_of(self._ballots, cookie) if cookie else None


async def _unable(request: Request, error: Exception) -> Response:
    """A full disk or a damaged book: told to the page, which keeps its answers, and to the owner."""
    message = " ".join(str(error).split())
    logging.getLogger("uvicorn.error").error(message)
    return JSONResponse({"error": message}, 503)


async def _json(request: Request) -> Any:
    """The body as JSON; None for anything else. It is as long as the guard allows, whatever the headers say."""
    data = b""
    try:
        async with asyncio.timeout(READ_S):
            async for part in request.stream():
                data += part
                if len(data) > MAX_BODY_BYTES:
                    return None
        return json.loads(data)
    except (ClientDisconnect, TimeoutError, ValueError, RecursionError):
        return None


def _work_of(body: Any) -> tuple[list[Vote], list[str], int] | None:
    """A request for work, checked; None if it is not one."""
    if not isinstance(body, dict):
        return None
    votes, held = body.get("votes", []), body.get("held", [])
    want = body.get("want", 0)
    if not isinstance(votes, list) or len(votes) > MAX_VOTES or not isinstance(held, list) or len(held) > MAX_HELD:
        return None
    if type(want) is not int or not 0 <= want <= MAX_TASKS:
        return None
    parsed = [_vote_of(vote) for vote in votes]
    if any(vote is None for vote in parsed) or not all(isinstance(each, str) for each in held):
        return None
    return [vote for vote in parsed if vote is not None], held, want


def _vote_of(vote: Any) -> Vote | None:
    if not isinstance(vote, dict) or not isinstance(vote.get("id"), str):
        return None
    answer, seconds = vote.get("answer"), vote.get("seconds")
    if answer is not None and answer not in ANSWERS:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | None):
        return None
    if seconds is not None and not 0 <= seconds <= MAX_SECONDS:
        seconds = None
    return Vote(vote["id"], answer, seconds)
