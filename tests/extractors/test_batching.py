"""Batches of one video: right vectors to right values, whatever the sizes, failures and memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mgn_ma.extractors.base import ExtractionError
from mgn_ma.extractors.batching import Batches, vectors_of
from mgn_ma.media.errors import MediaError

CPU = torch.device("cpu")


class Network:
    """v -> [v, v^2], keeping what it was asked; runs out of memory above ``fits`` values."""

    def __init__(self, fits: int = 10**9, message: str = "CUDA out of memory. Tried to allocate") -> None:
        self.fits = fits
        self.message = message
        self.seen: list[list[Any]] = []

    def __call__(self, values: Sequence[Any]) -> torch.Tensor:
        if len(values) > self.fits:
            raise torch.OutOfMemoryError(self.message)
        self.seen.append(list(values))
        column = torch.tensor([float(value) for value in values])
        return torch.stack([column, column**2], dim=1)


def failing_after(n: int) -> Iterator[int]:
    yield from range(n)
    raise MediaError("1.mp4", "frame 5 is damaged")


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


@settings(deadline=None, max_examples=60)
@given(length=st.integers(1, 40), size=st.integers(1, 12), fits=st.integers(1, 12))
def test_every_value_has_its_vector_in_order(length: int, size: int, fits: int) -> None:
    network = Network(fits=fits)
    vectors = vectors_of(iter(range(length)), network, Batches(size, CPU), lacking="nothing")
    values = np.arange(length)
    np.testing.assert_array_equal(vectors, np.stack([values, values**2], axis=1).astype(np.float32))
    assert [value for batch in network.seen for value in batch] == values.tolist()
    assert max(map(len, network.seen)) <= min(size, fits)


def test_batches_are_full_but_for_the_last() -> None:
    network = Network()
    vectors_of(range(11), network, Batches(4, CPU), lacking="nothing")
    assert [len(batch) for batch in network.seen] == [4, 4, 3]


def test_values_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []
    outputs = Batches(4, CPU).map(list, (taken.append(k) or k for k in range(100)))  # type: ignore[func-returns-value]
    assert next(outputs) == [0, 1, 2, 3]
    assert len(taken) == 4


def test_no_values_are_an_error_of_the_video() -> None:
    with pytest.raises(ExtractionError, match="no patch of sound"):
        vectors_of([], Network(), Batches(4, CPU), lacking="no patch of sound")


def test_what_reading_raises_is_raised_here_and_leaves_no_thread() -> None:
    with pytest.raises(MediaError, match="frame 5 is damaged"):
        vectors_of(failing_after(5), Network(), Batches(2, CPU), lacking="nothing")
    assert not reading_threads()


def test_a_defect_of_the_network_is_no_lack_of_memory() -> None:
    def network(values: Sequence[Any]) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        vectors_of(range(50), network, Batches(2, CPU), lacking="nothing")
    assert not reading_threads()


@pytest.mark.parametrize("message", ["CUDA out of memory. Tried to allocate", "MPS backend out of memory"])
def test_memory_halves_the_batch_once_per_size_and_says_so(caplog: pytest.LogCaptureFixture, message: str) -> None:
    network = Network(fits=5, message=message)
    batches = Batches(32, CPU, "frame")
    with caplog.at_level(logging.WARNING):
        vectors = vectors_of(range(100), network, batches, lacking="nothing")
    np.testing.assert_array_equal(vectors[:, 0], np.arange(100))
    assert batches.size == 4
    said = [record.getMessage() for record in caplog.records]
    assert [line.split("with ")[-1] for line in said] == ["16", "8", "4"]
    assert all("frames exceeds the memory of cpu" in line for line in said)


@pytest.mark.parametrize(
    "message",
    ["DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes", "could not create a primitive"],
)
def test_a_cpu_that_lacks_memory_says_it_in_words_only(message: str) -> None:
    sizes: list[int] = []

    def network(values: Sequence[int]) -> torch.Tensor:
        sizes.append(len(values))
        if len(values) > 2:
            raise RuntimeError(message)
        return torch.zeros(len(values), 1)

    assert len(vectors_of(range(5), network, Batches(4, CPU), lacking="nothing")) == 5
    assert sizes == [4, 2, 2, 1]


def test_memory_for_not_even_one_unit_is_a_transient_failure() -> None:
    with pytest.raises(ExtractionError, match="for even one unit: set `precision: bfloat16`") as raised:
        vectors_of(range(3), Network(fits=0), Batches(4, CPU), lacking="nothing")
    assert raised.value.transient
