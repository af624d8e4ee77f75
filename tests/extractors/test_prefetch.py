"""Reading ahead: bounded, in order, errors in their place, and no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from mgn_ma.extractors.prefetch import Prefetch


def test_everything_comes_in_order() -> None:
    with Prefetch(iter(range(1000)), depth=3) as items:
        assert list(items) == list(range(1000))


def test_no_more_than_depth_items_are_made_ahead() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    with Prefetch(source(), depth=4) as items:
        next(items)
        time.sleep(0.1)
        # One taken, four waiting, and one in the hands of the thread.
        assert len(made) <= 6


def test_an_error_comes_after_what_preceded_it_and_only_once() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken frame")

    with Prefetch(source(), depth=4) as items:
        assert next(items) == 1
        with pytest.raises(ValueError, match="broken frame"):
            next(items)
        assert list(items) == []


def test_leaving_half_way_closes_the_source_in_its_own_thread() -> None:
    closed_in: list[str] = []

    def source() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed_in.append(threading.current_thread().name)

    with Prefetch(source(), depth=1, name="reader of x") as items:
        next(items)
    assert closed_in == ["reader of x"]
    assert "reader of x" not in {thread.name for thread in threading.enumerate()}


def test_a_depth_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="depth"):
        Prefetch([], depth=0)
