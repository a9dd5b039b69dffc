"""Unpacking a zip that may be hostile: nothing outside the target, no links, no bombs, all of it or nothing."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from noisyweb.atomic import replacing_folder
from noisyweb.errors import CorruptFileError, SourceError

MAX_BYTES = 2_000_000_000
MAX_MEMBERS = 20_000
MAX_RATIO = 200
_SMALL = 1_000_000  # bytes below which a ratio says nothing
_CHUNK = 1 << 20


def unpack(archive: Path, target: Path, check: Callable[[Path], object] = lambda folder: None) -> None:
    """Unpack a zip into a folder, in the place of what stood there.

    Args:
        archive: the zip.
        target: the folder.
        check: given what was unpacked, before it takes its place; raises SourceError if that will not do.

    Raises:
        CorruptFileError: it is no zip, is damaged, or holds what no release holds; nothing is changed then.
        SourceError: ``check`` refused it; nothing is changed then.
        OutputError: the disk is full.
    """
    try:
        with zipfile.ZipFile(archive) as opened, replacing_folder(target) as temporary:
            members = [member for member in opened.infolist() if not member.is_dir()]
            places = [_place(archive, member) for member in members]
            _check(archive, members, places)
            left = MAX_BYTES
            for member, place in zip(members, places, strict=True):
                left -= _write(archive, opened, member, temporary / place, left)
            try:
                check(temporary)
            except SourceError as error:
                raise type(error)(str(error).replace(str(temporary), str(archive))) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise CorruptFileError(f"{archive}: not a sound zip ({error}); fetch it again") from error
    except FileNotFoundError:
        raise CorruptFileError(f"{archive}: no such file; expected dataset_no_images.zip") from None
    except OSError as error:
        raise CorruptFileError(f"{archive}: cannot be read ({error.strerror or error})") from error


def _place(archive: Path, member: zipfile.ZipInfo) -> Path:
    """Where a member goes, below the target."""
    name = PurePosixPath(member.filename)
    parts = name.parts
    if (
        name.is_absolute()
        or not parts
        or any(part in ("..", ".") or "\\" in part or ":" in part or not part.isprintable() for part in parts)
        or any(len(part.encode("utf-8", "surrogatepass")) > 200 for part in parts)
        or len(parts) > 10
    ):
        raise CorruptFileError(f"{archive}: member {member.filename[:80]!r} would not lie below the folder; refused")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise CorruptFileError(f"{archive}: member {member.filename[:80]!r} is a link or a device; refused")
    return Path(*parts)


def _check(archive: Path, members: list[zipfile.ZipInfo], places: list[Path]) -> None:
    total = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS or total > MAX_BYTES:
        raise CorruptFileError(
            f"{archive}: {len(members):,} files of {total:,} bytes; expected at most {MAX_MEMBERS:,} of {MAX_BYTES:,}"
        )
    seen: set[str] = set()
    folders = {str(parent).casefold() for place in places for parent in place.parents}
    for member, place in zip(members, places, strict=True):
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise CorruptFileError(f"{archive}: {place} is packed in way {member.compress_type}; expected deflate")
        if member.file_size > max(_SMALL, MAX_RATIO * member.compress_size):
            raise CorruptFileError(f"{archive}: {place} unpacks to {member.file_size:,} bytes; taken for a zip bomb")
        if str(place).casefold() in seen:
            raise CorruptFileError(f"{archive}: {place} is in it twice; refused")
        if str(place).casefold() in folders:
            raise CorruptFileError(f"{archive}: {place} is a file and a folder; refused")
        seen.add(str(place).casefold())


def _write(archive: Path, opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Unpack one file; how many bytes it has. What a zip says of sizes may be a lie."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(member) as source, target.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > min(member.file_size, left):
                raise CorruptFileError(f"{archive}: {member.filename[:80]!r} is larger than it says; refused")
            sink.write(chunk)
    return written
