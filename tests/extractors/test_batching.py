"""Batches over several videos: right rows to right videos, whatever the settings, failures and memory."""

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

from mgn_ma.extractors import reading
from mgn_ma.extractors.base import ExtractionError, TrackRows
from mgn_ma.extractors.batching import Batches, Memo, extract_in_batches
from mgn_ma.extractors.reading import Unit
from mgn_ma.media.errors import MediaError
from mgn_ma.media.source import VideoSource

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


def sources(n: int) -> list[VideoSource]:
    return [VideoSource(video_id=str(i)) for i in range(n)]


def reader(lengths: Sequence[int]) -> Any:
    def read(video: VideoSource) -> Iterator[Unit]:
        which = int(video.video_id)
        for i in range(lengths[which]):
            yield Unit(i * 10, i * 10 + 10, 1000 * which + i)

    return read


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 17), max_size=9),
    size=st.integers(1, 12),
    readers=st.integers(1, 4),
    fits=st.integers(1, 12),
)
def test_every_row_reaches_its_video_in_order(lengths: list[int], size: int, readers: int, fits: int) -> None:
    network = Network(fits=fits)
    made = list(
        extract_in_batches(sources(len(lengths)), reader(lengths), Batches(network, size, CPU), readers=readers)
    )
    assert [video.video_id for video, _ in made] == [str(i) for i in range(len(lengths))]
    for which, (_, rows) in enumerate(made):
        if lengths[which] == 0:
            assert isinstance(rows, ExtractionError)
            continue
        assert isinstance(rows, TrackRows)
        expected = 1000 * which + np.arange(lengths[which])
        np.testing.assert_array_equal(rows.vectors, np.stack([expected, expected**2], axis=1).astype(np.float32))
        np.testing.assert_array_equal(rows.timestamps_us, np.arange(lengths[which]) * 10)
        np.testing.assert_array_equal(rows.ends_us, rows.timestamps_us + 10)
    # Each value goes through the network in one batch, though the filling of a batch repeats the last one of it.
    assert sum(len(set(batch)) for batch in network.seen) == sum(lengths)


@pytest.mark.parametrize("readers", [1, 3])
def test_short_videos_share_batches(readers: int) -> None:
    network = Network()
    list(extract_in_batches(sources(8), reader([3] * 8), Batches(network, 12, CPU), readers=readers))
    assert [len(batch) for batch in network.seen] == [12, 12]


def test_every_batch_has_one_shape() -> None:
    network = Network()
    list(extract_in_batches(sources(2), reader([5, 6]), Batches(network, 4, CPU)))
    assert [len(batch) for batch in network.seen] == [4, 4, 4]


def test_values_share_batches_with_their_like_only() -> None:
    network = Network()
    lengths = [9, 9, 9, 9]
    batches = Batches(network, 4, CPU)
    made = list(extract_in_batches(sources(4), reader(lengths), batches, readers=2, group=lambda value: value % 3))
    assert [len(rows) for _, rows in made if isinstance(rows, TrackRows)] == lengths
    assert all(len({value % 3 for value in batch}) == 1 for batch in network.seen)


def test_videos_that_wait_for_a_rare_group_do_not_stop_the_reading() -> None:
    network = Network()
    videos = sources(60)
    # One value in the first video, and no other, is of group 1.
    group = {0: 1}
    made = list(extract_in_batches(videos, reader([3] * 60), Batches(network, 8, CPU), group=lambda v: group.get(v, 0)))
    assert [video.video_id for video, _ in made] == [video.video_id for video in videos]


def test_the_batches_do_not_depend_on_which_thread_was_quicker() -> None:
    def read_at_random_pace(video: VideoSource) -> Iterator[Unit]:
        for unit in reader([7, 1, 12, 4, 9])(video):
            threading.Event().wait(float(rng.uniform(0, 0.003)))
            yield unit

    runs = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        network = Network()
        list(extract_in_batches(sources(5), read_at_random_pace, Batches(network, 4, CPU), readers=3))
        runs.append(network.seen)
    assert runs[0] == runs[1] == runs[2] == runs[3]


def test_reading_stays_bounded_while_an_early_video_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def read(video: VideoSource) -> Iterator[Unit]:
        started.append(video.video_id)
        yield from reader([400] + [1] * 99)(video)

    monkeypatch.setattr(reading, "_ROWS_IN_HAND", 20)
    results = extract_in_batches(sources(100), read, Batches(Network(), 4, CPU), readers=2)
    assert next(results)[0].video_id == "0"
    assert len(started) <= 10
    assert len(list(results)) == 99


def test_a_video_that_fails_half_way_does_not_stop_the_others() -> None:
    def read(video: VideoSource) -> Iterator[Unit]:
        yield from reader([5, 5, 5])(video)
        if video.video_id == "1":
            raise MediaError("1.mp4", "frame 5 is damaged")

    made = [rows for _, rows in extract_in_batches(sources(3), read, Batches(Network(), 4, CPU), readers=2)]
    assert isinstance(made[1], ExtractionError)
    assert str(made[1]) == "frame 5 is damaged"
    assert not made[1].transient
    assert [len(rows) for rows in (made[0], made[2]) if isinstance(rows, TrackRows)] == [5, 5]


def test_an_unforeseen_error_of_reading_is_the_videos_own_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def read(video: VideoSource) -> Iterator[Unit]:
        if video.video_id == "0":
            raise ZeroDivisionError("time base of 0")
        yield from reader([0, 2])(video)

    made = [rows for _, rows in extract_in_batches(sources(2), read, Batches(Network(), 4, CPU))]
    assert str(made[0]) == "ZeroDivisionError: time base of 0"
    assert isinstance(made[1], TrackRows)
    assert "not foreseen" in caplog.text


def test_a_defect_of_the_network_is_raised_not_accounted() -> None:
    def network(values: Sequence[Any]) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        list(extract_in_batches(sources(1), reader([3]), Batches(network, 2, CPU)))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read ")]


def test_leaving_half_way_leaves_no_thread_behind() -> None:
    results = extract_in_batches(sources(9), reader([50] * 9), Batches(Network(), 4, CPU), readers=3)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read ")]


@pytest.mark.parametrize("message", ["CUDA out of memory. Tried to allocate", "MPS backend out of memory"])
def test_memory_halves_the_batch_once_per_size_and_says_so(caplog: pytest.LogCaptureFixture, message: str) -> None:
    network = Network(fits=5, message=message)
    batches = Batches(network, 32, CPU)
    with caplog.at_level(logging.WARNING):
        ((_, rows),) = extract_in_batches(sources(1), reader([100]), batches)
    assert isinstance(rows, TrackRows)
    np.testing.assert_array_equal(rows.vectors[:, 0], np.arange(100))
    assert batches.size == 4
    said = [record.getMessage() for record in caplog.records]
    assert [line.split("with ")[-1] for line in said] == ["16", "8", "4"]


def test_memory_for_not_even_one_unit_is_a_transient_failure() -> None:
    ((_, rows),) = extract_in_batches(sources(1), reader([3]), Batches(Network(fits=0), 4, CPU))
    assert isinstance(rows, ExtractionError)
    assert rows.transient
    assert "memory" in str(rows)


def test_each_distinct_value_is_computed_once_within_and_across_calls() -> None:
    def read(video: VideoSource) -> Iterator[Unit]:
        for i, value in enumerate([1, 2, 1, 1, 3, 2] * 3):
            yield Unit(i, i + 1, value)

    network, memo = Network(), Memo(capacity=10)
    batches = Batches(network, 2, CPU)
    for _ in range(2):
        for _, rows in extract_in_batches(sources(3), read, batches, readers=2, memo=memo):
            assert isinstance(rows, TrackRows)
            np.testing.assert_array_equal(rows.vectors[:, 0], [1, 2, 1, 1, 3, 2] * 3)
    assert sorted(value for batch in network.seen for value in set(batch)) == [1, 2, 3]


def test_a_memo_forgets_the_longest_unused() -> None:
    memo = Memo(capacity=2)
    vector = np.zeros(1, np.float32)
    memo.put("a", vector)
    memo.put("b", vector)
    memo.get("a")
    memo.put("c", vector)
    assert memo.get("b") is None
    assert memo.get("a") is not None
