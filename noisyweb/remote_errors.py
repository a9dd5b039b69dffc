"""What a store's library raises, as one clear line without credentials."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from noisyweb.errors import OutputError, RemoteError, SourceError

_LIBRARIES = {"aiohttp", "aiobotocore", "botocore", "fsspec", "gcsfs", "azure", "huggingface_hub", "paramiko", "httpx"}
"""Whose exceptions mean that the store, not our code, failed; all others but OSError are passed on."""

_USER = re.compile(r"^(?:[^/:]*:.*|[^/]*)@")  # a password may hold a slash or an @: up to the last @


def shown(text: str) -> str:
    """A URL, or a text with URLs, as it may be printed: without user, password and query."""
    return re.sub(r"(?<=://)\S+", lambda found: _public(found[0]), text)


def _public(rest: str) -> str:
    """What follows ``://``, without secrets; nothing of it where a ``?`` before an ``@`` leaves open which is which."""
    path, _, query = rest.partition("?")
    return "***" if "@" in query else _USER.sub("", path)


@contextlib.contextmanager
def remote_errors(url: str, writing: bool = False) -> Iterator[None]:
    """Turn what a store's library raises into one clear line without credentials.

    Raises:
        SourceError: nothing stands at the URL.
        OutputError: the bucket or folder to write into is not there.
        RemoteError: access was refused, or the store did not answer as it should.
    """
    try:
        yield
    except FileNotFoundError as error:
        if writing:
            raise OutputError(f"{shown(url)}: no such bucket or folder to write into; make it first") from error
        raise SourceError(f"{shown(url)}: there is nothing; check the URL") from error
    except PermissionError as error:
        raise RemoteError(
            f"{shown(url)}: access refused ({told(error, url)}); check the credentials and what they allow"
        ) from error
    except NotImplementedError as error:
        raise RemoteError(
            f"{shown(url)}: a store of this kind cannot {'be written' if writing else 'do that'}; name another"
        ) from error
    except Exception as error:
        modules = {cls.__module__.partition(".")[0] for cls in type(error).__mro__}
        if not isinstance(error, OSError) and not modules & _LIBRARIES:
            raise
        raise RemoteError(
            f"{shown(url)}: the store failed ({told(error, url)}); check the address, or try again"
        ) from error


def told(error: Exception, url: str) -> str:
    """What an error says, in one line of 200 letters at most; its class alone if the URL holds a secret."""
    text = " ".join(shown(str(error)).split()) if shown(url) == url else ""
    return text if 0 < len(text) <= 200 else f"{text[:200]}…" if text else type(error).__name__
