"""Memory shared with a worker: every body arrives as it was, wherever it lies, and no place is lost."""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.body_ring import RING_BYTES, BodyRing, shared_bodies

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no such memory")
SIZE = 4096


@pytest.fixture
def ring() -> Iterator[BodyRing]:
    ring = BodyRing(SIZE)
    yield ring
    ring.close()


@given(steps=st.lists(st.one_of(st.integers(0, SIZE + 1), st.integers(0, 600), st.just(None)), max_size=80))
def test_bodies_are_whole_until_they_are_given_back(steps: list[int | None]) -> None:
    ring = BodyRing(SIZE)
    view = shared_bodies(ring.descriptor)
    chance = random.Random(len(steps))
    held: deque[tuple[int, bytes]] = deque()
    for step in steps:
        if step is None:
            if held:
                held.popleft()
                ring.free()
        else:
            body = chance.randbytes(step)
            start = ring.put(body)
            if start is not None:
                held.append((start, body))
            elif not held:
                assert not 0 < step <= SIZE, "an empty ring has room for all that is no larger"
        assert all(view[start : start + len(body)] == body for start, body in held)
    while held:
        held.popleft()
        ring.free()
    assert ring.put(bytes(SIZE)) == 0
    view.release()
    ring.close()


def test_a_body_lies_in_one_piece_at_the_beginning_once_the_end_is_too_short(ring: BodyRing) -> None:
    assert [ring.put(b"a" * 1500), ring.put(b"b" * 1500)] == [0, 1500]
    assert ring.put(b"c" * 1500) is None
    ring.free()
    assert ring.put(b"c" * 1501) is None
    assert ring.put(b"c" * 1500) == 0  # before the second one
    assert ring.put(b"d") is None  # between them is nothing
    ring.free()
    assert ring.put(b"d" * 2596) == 1500  # to the very end
    ring.free()
    assert ring.put(b"e" * 1500) == 0


def test_what_does_not_fit_is_left_to_the_socket(ring: BodyRing) -> None:
    assert ring.put(b"") is None
    assert ring.put(bytes(SIZE + 1)) is None
    assert ring.put(bytes(SIZE)) == 0


def test_a_closed_ring_has_no_room_and_leaves_no_descriptor() -> None:
    before = set(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else set()
    ring = BodyRing()
    assert ring.put(bytes(RING_BYTES)) == 0
    ring.close()
    ring.close()
    assert ring.descriptor == -1
    assert ring.put(b"a") is None
    assert before == (set(os.listdir("/proc/self/fd")) if before else before)


def test_a_worker_cannot_change_a_body(ring: BodyRing) -> None:
    ring.put(b"body")
    view = shared_bodies(ring.descriptor)
    assert view.readonly
    with pytest.raises(TypeError):
        view[0] = 0
    view.release()


def test_without_such_memory_there_is_nothing_to_see() -> None:
    assert len(shared_bodies(-1)) == 0
