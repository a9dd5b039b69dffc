"""Reading pickles of numpy arrays, dicts, lists and strings, and nothing else, without trusting them.

A pickle is a program. Two gates stand before it:

1. `_shrink` goes through its operations without running any: only those that such data need are let pass, each length
   is checked against the file, and each long string (the pixels) is left out, replaced by a reference to its place in
   the file. So a pickle of 800 MB takes little memory.
2. What is left is run by `pickle.Unpickler`, which can reach only the stand-ins below: names of numpy functions give
   objects that note what they were given. No function of numpy or of anyone else is called with what a pickle says.

Pickles of Python 2 (protocol 2) are read too; their strings come as bytes.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from noisyweb.clean_copies.places import Place
from noisyweb.errors import CorruptFileError, SourceError

_MAX_SMALL_BYTES = 64 << 20
"""Of all that is not left out: lists of a hundred thousand numbers take less than one."""

_LONG = {"BINSTRING", "BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_ALLOWED = _LONG | {
    *("PROTO", "STOP", "NONE", "NEWTRUE", "NEWFALSE", "MARK"),
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("SHORT_BINSTRING", "SHORT_BINBYTES", "SHORT_BINUNICODE", "BINUNICODE"),
    *("EMPTY_LIST", "APPEND", "APPENDS", "LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"),
    *("BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET"),
    *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
}
_OPERATIONS = {operation.code.encode("latin-1"): operation for operation in pickletools.opcodes}
_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_DAMAGE = (
    *(pickle.UnpicklingError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError),
    *(OverflowError, MemoryError),
)
"""What `pickle.Unpickler` raises for operations that make no sense."""


class NotAllowedError(Exception):
    """A pickle asks for what data of this kind never need; the message has no control characters."""

    def __init__(self, message: str) -> None:
        super().__init__(message.encode("unicode_escape").decode("ascii")[:300])


class Reference(int):
    """A long string that was left out: which one. It cannot be changed, since a pickle may set attributes."""

    __slots__ = ()


@dataclass
class ArrayState:
    """A numpy array as a pickle describes it, not yet made.

    Attributes:
        shape: of the array; empty until the pickle has said it.
        dtype: such as "|u1" or "<i8".
        data: its bytes, or a reference to them.
    """

    shape: Any = ()
    dtype: str = ""
    data: Any = b""

    def __setstate__(self, state: Any) -> None:
        _version, shape, dtype, by_columns, data = state
        self.describe(shape, dtype, by_columns, data)

    def describe(self, shape: Any, dtype: Any, by_columns: Any, data: Any) -> None:
        """Note what the pickle says.

        Raises:
            NotAllowedError: it is no array of plain numbers, row by row.
        """
        if not isinstance(dtype, _DType) or by_columns or not isinstance(shape, tuple):
            raise NotAllowedError("an array that is not of plain numbers, row by row")
        self.shape, self.dtype, self.data = shape, dtype.order + dtype.code, data

    def values(self, places: Sequence[Place], max_items: int) -> npt.NDArray[np.int64]:
        """The numbers of a small array of whole numbers, shape (n,).

        Raises:
            NotAllowedError: it is no such array, or larger.
        """
        if len(self.shape) > 1 or self.dtype.lstrip("|<>=") not in ("u1", "u2", "u4", "i1", "i2", "i4", "i8"):
            raise NotAllowedError(f"an array of {self.dtype} of shape {self.shape!r}, where whole numbers are expected")
        data = places[self.data].read() if isinstance(self.data, Reference) else self.data
        dtype = np.dtype(self.dtype)
        if not isinstance(data, bytes) or len(data) > max_items * dtype.itemsize or len(data) % dtype.itemsize:
            raise NotAllowedError(f"an array of other than at most {max_items} numbers")
        return np.frombuffer(data, dtype).astype(np.int64)


@dataclass
class _DType:
    code: str
    order: str = "|"

    def __setstate__(self, state: Any) -> None:
        order = _text(state[1])
        if order not in ("<", ">", "|", "=") or any(state[2:5]):
            raise NotAllowedError("an array of records or objects")
        self.order = order


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii")
    if not isinstance(value, str):
        raise NotAllowedError(f"{type(value).__name__} where text is expected")
    return value


def _dtype(code: Any, *_flags: Any) -> _DType:
    if (text := _text(code)) not in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "b1", "f4", "f8"):
        raise NotAllowedError(f"an array of {text!r}")
    return _DType(text)


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> ArrayState:
    array = ArrayState()
    array.describe(shape, dtype, _text(order) != "C", data)
    return array


def _scalar(dtype: Any, data: Any) -> int:
    number = ArrayState()
    number.describe((), dtype, False, data)
    return int(number.values((), 1)[0])


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        """A stand-in, made anew for each pickle, since a pickle may set its attributes."""
        match module.replace("numpy._core", "numpy.core"), name:
            case "numpy", "ndarray":
                return "numpy.ndarray"  # pickles name it and never call it
            case "numpy", "dtype":
                return lambda *arguments: _dtype(*arguments)
            case "numpy.core.multiarray", "_reconstruct":
                return lambda *_arguments: ArrayState()
            case "numpy.core.multiarray", "scalar":
                return lambda *arguments: _scalar(*arguments)
            case "numpy.core.numeric", "_frombuffer":
                return lambda *arguments: _frombuffer(*arguments)
        raise NotAllowedError(f"{module}.{name}")

    def persistent_load(self, index: Any, /) -> Reference:
        return Reference(index)


def read_pickle(path: Path, *, max_bytes: int) -> tuple[Any, list[Place]]:
    """Read a pickle of dicts, lists, strings, numbers and arrays.

    Arrays come as `ArrayState`, and the places that their references mean beside the content.

    Args:
        path: the file.
        max_bytes: largest file that is read.

    Raises:
        SourceError: it is larger, or asks for more than such data need.
        CorruptFileError: it is damaged, cut off or no pickle.
    """
    try:
        with path.open("rb") as handle:
            size = handle.seek(0, io.SEEK_END)
            if size > max_bytes:
                raise SourceError(f"{path}: {size} bytes; expected {max_bytes} at most")
            handle.seek(0)
            data, places = _shrink(path, handle, size)
        return _Unpickler(io.BytesIO(data), encoding="bytes").load(), places
    except NotAllowedError as error:
        raise SourceError(
            f"{path}: the pickle asks for {error}; it is a program, and only arrays, dicts, lists and strings are read"
        ) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); mend its permissions") from error
    except _DAMAGE as error:
        raise CorruptFileError(f"{path}: damaged or no pickle ({error!r}); restore it from a copy") from error


def _shrink(path: Path, handle: IO[bytes], size: int) -> tuple[bytes, list[Place]]:
    """The same program with each long string replaced by a reference to its place, and without frames."""
    kept = io.BytesIO()
    places: list[Place] = []
    while True:
        code = _exactly(handle, 1)
        operation = _OPERATIONS.get(code)
        if operation is None:
            raise EOFError("no pickle operation")
        if operation.name == "FRAME":
            _exactly(handle, 8)
            continue
        if operation.name not in _ALLOWED:
            raise NotAllowedError(f"the operation {operation.name}")
        argument, length = _argument(handle, operation, size)
        if operation.name in _LONG:
            if handle.tell() + length > size:
                raise EOFError("cut off")
            places.append(Place(path, handle.tell(), length))
            handle.seek(length, io.SEEK_CUR)
            kept.write(b"J" + struct.pack("<i", len(places) - 1) + b"Q")  # BININT, BINPERSID
        else:
            if operation.name == "LONG_BINPUT" and struct.unpack("<I", argument)[0] > handle.tell():
                raise NotAllowedError("a memo larger than itself")
            kept.write(code + argument + (_exactly(handle, length) if length else b""))
        if kept.tell() > _MAX_SMALL_BYTES:
            raise NotAllowedError(f"more than {_MAX_SMALL_BYTES} bytes beside the pixels")
        if operation.name == "STOP":
            return kept.getvalue(), places


def _argument(handle: IO[bytes], operation: pickletools.OpcodeInfo, size: int) -> tuple[bytes, int]:
    """An operation's argument as it stands there, and how many bytes of string follow it."""
    if operation.arg is None:
        return b"", 0
    if operation.arg.n == pickletools.UP_TO_NEWLINE:
        lines = [handle.readline(256) for _ in range(2 if operation.name == "GLOBAL" else 1)]
        if not all(line.endswith(b"\n") for line in lines):
            raise EOFError("a name without an end")
        return b"".join(lines), 0
    if operation.arg.n >= 0:
        return _exactly(handle, operation.arg.n), 0
    argument = _exactly(handle, _LENGTH_BYTES[operation.arg.n])
    length = int.from_bytes(argument, "little")
    if length > size:
        raise EOFError("cut off")
    return argument, length


def _exactly(handle: IO[bytes], count: int) -> bytes:
    data = handle.read(count)
    if len(data) != count:
        raise EOFError("cut off")
    return data
