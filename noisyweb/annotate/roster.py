"""Who may answer: annotators, the tokens that the owner makes for them, and their sessions."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from noisyweb.annotate.book import Book
from noisyweb.errors import LabelError

MAX_NAME = 80


def invite(book: Book, name: str) -> str:
    """Let somebody answer; give the token, which is kept nowhere but as a hash.

    A new token for a known name ends the earlier one and its sessions; the answers stay.

    Raises:
        LabelError: it is no name to go by.
    """
    name = checked_name(name)
    token = secrets.token_urlsafe(24)
    with book.transaction():
        book.sql.execute("REPLACE INTO annotators VALUES (?, ?)", (name, _hash(token)))
        book.sql.execute("DELETE FROM sessions WHERE annotator = ?", (name,))
    return token


def revoke(book: Book, name: str) -> None:
    """Shut somebody out from now on; the answers stay.

    Raises:
        LabelError: nobody of that name was invited.
    """
    with book.transaction():
        found = book.sql.execute("DELETE FROM annotators WHERE name = ?", (name,)).rowcount
        book.sql.execute("DELETE FROM sessions WHERE annotator = ?", (name,))
    if not found:
        known = ", ".join(annotators(book)) or "nobody"
        raise LabelError(f"annotator {name!r}: not invited; invited: {known}")


def annotators(book: Book) -> list[str]:
    """The names of those who may answer, sorted."""
    return [name for (name,) in book.sql.execute("SELECT name FROM annotators ORDER BY name")]


def sign_in(book: Book, name: str, token: str) -> str | None:
    """A new session's cookie; None if the token is not that annotator's."""
    if not name.isprintable():  # half a character, which SQLite would not take
        return None
    cookie = secrets.token_urlsafe(24)
    with book.transaction():  # nobody is shut out between the two
        row = book.sql.execute("SELECT token FROM annotators WHERE name = ?", (name,)).fetchone()
        if not hmac.compare_digest(row[0] if row else "", _hash(token)):
            return None
        book.sql.execute("INSERT INTO sessions VALUES (?, ?)", (_hash(cookie), name))
    return cookie


def sign_out(book: Book, cookie: str) -> None:
    """End a session."""
    with book.transaction():
        book.sql.execute("DELETE FROM sessions WHERE cookie = ?", (_hash(cookie),))


def annotator_of(book: Book, cookie: str) -> str | None:
    """Whose session it is; None if it is nobody's."""
    row = book.sql.execute("SELECT annotator FROM sessions WHERE cookie = ?", (_hash(cookie),)).fetchone()
    return str(row[0]) if row else None


def checked_name(name: str) -> str:
    """An annotator's name without spaces around it.

    Raises:
        LabelError: it is empty, too long, or holds characters that cannot be seen or would break a link.
    """
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise LabelError(f"annotator {name[:MAX_NAME]!r}: expected a name of 1 to {MAX_NAME} printable characters")
    return name


def _hash(secret: str) -> str:
    # Tokens have 192 random bits: a plain hash cannot be searched.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
