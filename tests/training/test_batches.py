"""Batches: every frame once, the right vectors, and an order as good as a full shuffle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mgn_ma.training.batches import BatchConfig, FrameBatches
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.gather import AlignedRows, Batch, DeviceRows, read_rows
from mgn_ma.training.order import batch_sizes, block_windows
from mgn_ma.training.packed import PackedSplit

CPU = torch.device("cpu")
Packed = Callable[..., PackedSplit]


def config(**changes: object) -> BatchConfig:
    return BatchConfig.model_validate({"batch_size": 16, "block_frames": 4, "window_frames": 50, **changes})


def check_content(split: PackedSplit, batch: Batch, modalities: list[str]) -> None:
    """Compare a batch with one look-up a frame."""
    columns = {name: column for column, name in enumerate(split.modalities)}
    assert list(batch.features) == modalities
    for name in modalities:
        for row, frame in enumerate(batch.frames):
            pointer = split.index[frame, columns[name]]
            assert bool(batch.present[name][row]) == (pointer >= 0)
            if pointer >= 0:
                np.testing.assert_array_equal(batch.features[name][row].numpy(), split.matrices[name][pointer])
    assert all(torch.isfinite(vectors).all() for vectors in batch.features.values())
    if split.labels is not None:
        assert batch.labels is not None
        np.testing.assert_array_equal(batch.labels.numpy(), split.labels[batch.frames])


@pytest.mark.parametrize("shuffle", ["full", "blocks"])
def test_an_epoch_visits_every_frame_once_with_its_own_vectors(packed: Packed, shuffle: str) -> None:
    split = packed(8)
    frames = split.face_frames()
    modalities = ["subtitle", "image", "audio"]
    batches = list(FrameBatches(split, modalities, config(shuffle=shuffle), CPU).epoch(frames, 1))
    visited = np.concatenate([batch.frames for batch in batches])
    np.testing.assert_array_equal(np.sort(visited), frames)
    assert not np.array_equal(visited, frames)
    assert [len(batch.frames) for batch in batches] == batch_sizes(len(frames), 16)
    for batch in batches:
        check_content(split, batch, modalities)


@pytest.mark.parametrize("shuffle", ["full", "blocks"])
def test_the_order_depends_on_seed_and_epoch_alone(packed: Packed, shuffle: str) -> None:
    split = packed(5)
    frames = np.arange(split.n_frames)

    def order(seed: int, epoch: int) -> list[int]:
        batches = FrameBatches(split, ["image"], config(shuffle=shuffle), CPU, seed=seed)
        return np.concatenate([batch.frames for batch in batches.epoch(frames, epoch)]).tolist()

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


@pytest.mark.parametrize("shuffle", ["full", "blocks"])
def test_on_the_device_the_order_is_the_same(packed: Packed, shuffle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    split = packed(5)
    frames = split.face_frames()

    def visited() -> list[list[int]]:
        batches = FrameBatches(split, ["image"], config(shuffle=shuffle), CPU)
        return [batch.frames.tolist() for batch in batches.epoch(frames, 2)]

    streamed = visited()
    monkeypatch.setattr("mgn_ma.training.batches._fits_on", lambda *_: True)
    assert visited() == streamed


def test_frames_are_gathered_as_they_are_cut(packed: Packed) -> None:
    split = packed(4, labelled=False, split="test")
    frames = np.arange(split.n_frames)
    batches = list(FrameBatches(split, ["image", "video"], config(), CPU).gathered(np.array_split(frames, 5)))
    np.testing.assert_array_equal(np.concatenate([batch.frames for batch in batches]), frames)
    assert batches[0].labels is None
    check_content(split, batches[-1], ["image", "video"])


def test_what_the_device_gathers_is_what_the_host_gathers(packed: Packed) -> None:
    split = packed(6)
    rows = AlignedRows.from_split(split, ["audio", "subtitle"])
    frames = np.random.default_rng(0).permutation(split.n_frames)[:40]
    check_content(split, DeviceRows(rows, CPU).gather(frames), ["audio", "subtitle"])


def test_label_rows_stand_in_for_the_frames_own(packed: Packed) -> None:
    split = packed(3)
    rows = np.roll(np.arange(split.n_frames), 5)
    assert split.labels is not None
    for shuffle in ("full", "blocks"):
        batches = FrameBatches(split, ["image"], config(shuffle=shuffle), CPU, label_rows=rows)
        for batch in batches.epoch(np.arange(split.n_frames), 0):
            assert batch.labels is not None
            np.testing.assert_array_equal(batch.labels.numpy(), split.labels[rows[batch.frames]])


def test_an_unknown_modality_is_named(packed: Packed) -> None:
    with pytest.raises(TrainingError, match="no modality 'smell', only image"):
        FrameBatches(packed(2), ["smell"], config(), CPU)


def test_leaving_an_epoch_half_way_leaves_no_thread_behind(packed: Packed) -> None:
    split = packed(8)
    before = threading.active_count()
    epoch = FrameBatches(split, ["image"], config(shuffle="blocks"), CPU).epoch(np.arange(split.n_frames), 1)
    next(epoch)
    epoch.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_file_that_shrinks_while_it_is_read_is_reported(packed: Packed) -> None:
    split = packed(2)
    path = Path(split.matrices["image"].filename)
    rows = np.arange(len(split.matrices["image"]))
    np.testing.assert_array_equal(read_rows(split.matrices["image"], rows), split.matrices["image"])
    copy = PackedSplit(split.folder)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(TrainingError, match="ended early"):
        read_rows(copy.matrices["image"], rows)


@given(
    n_frames=st.integers(0, 400),
    block_frames=st.integers(1, 20),
    window_frames=st.integers(1, 90),
    seed=st.integers(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_windows_hold_every_frame_once_and_stay_in_bounds(
    n_frames: int, block_frames: int, window_frames: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    frames = np.sort(random.choice(1000, n_frames, replace=False)).astype(np.int64)
    seen = []
    for window, order in block_windows(frames, random, block_frames=block_frames, window_frames=window_frames):
        assert len(window) <= max(window_frames, block_frames)
        assert np.all(np.diff(window) > 0)
        np.testing.assert_array_equal(np.sort(order), np.arange(len(window)))
        seen.append(window[order])
    np.testing.assert_array_equal(np.sort(np.concatenate([np.zeros(0, int), *seen])), frames)


@given(n_frames=st.integers(0, 100), batch_size=st.integers(2, 12))
def test_no_batch_of_a_single_frame_unless_there_is_only_one(n_frames: int, batch_size: int) -> None:
    sizes = batch_sizes(n_frames, batch_size)
    assert sum(sizes) == n_frames
    assert all(2 <= size <= batch_size + 1 for size in sizes) or n_frames == 1


def variance_of_batch_means(values: npt.NDArray[np.float64], orders: list[npt.NDArray[np.int64]], size: int) -> float:
    means = [values[order[: len(order) // size * size]].reshape(-1, size).mean(axis=1) for order in orders]
    return float(np.concatenate(means).var())


def test_blocks_make_batches_nearly_as_varied_as_a_full_shuffle_does() -> None:
    """The worst case for blocks: signals so slow that neighbours are equal, and videos that differ as a whole."""
    random = np.random.default_rng(0)
    n_frames, size, block, window = 60_000, 128, 8, 10_240
    video = np.repeat(np.arange(300), 200)
    walk = np.cumsum(random.normal(size=n_frames)) * 0.05
    values = random.normal(size=300)[video] + walk - pd.Series(walk).groupby(video).transform("mean").to_numpy()
    frames = np.arange(n_frames)
    full = [random.permutation(n_frames) for _ in range(20)]
    blocks = [
        np.concatenate([w[o] for w, o in block_windows(frames, random, block_frames=block, window_frames=window)])
        for _ in range(20)
    ]
    ratio = variance_of_batch_means(values, blocks, size) / variance_of_batch_means(values, full, size)
    bound = 1 + size * (block - 1) / window  # 1.09, of `mgn_ma.training.order`
    assert 0.9 < ratio < bound + 0.08
    # The measure can tell: without the window, batches made of whole blocks are several times as uneven.
    unshuffled = [
        np.concatenate([w for w, _ in block_windows(frames, random, block_frames=block, window_frames=block)])
        for _ in range(2)
    ]
    assert variance_of_batch_means(values, unshuffled, size) / variance_of_batch_means(values, full, size) > 3


def test_auto_shuffles_in_blocks_only_beyond_the_page_cache(packed: Packed) -> None:
    split = packed(2)
    assert FrameBatches(split, ["image"], config(), CPU).shuffle == "full"
    assert FrameBatches(split, ["image"], config(page_cache_gib=1e-7), CPU).shuffle == "blocks"
