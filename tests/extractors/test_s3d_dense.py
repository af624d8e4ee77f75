"""S3D over overlapping windows gives what the plain network gives window by window, in bounded memory."""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from mgn_ma.extractors.base import ExtractionError
from mgn_ma.extractors.s3d.dense import DenseS3D, frames_per_batch
from mgn_ma.extractors.s3d.network import S3D, Mixed, MixedWidths
from mgn_ma.extractors.s3d.stem import SharedStem, Window, WindowStream
from mgn_ma.extractors.s3d.trunk import FastMixed, maximum_of_neighbours

Frames = npt.NDArray[np.uint8]

SIZE, WINDOW, N_FRAMES = 32, 8, 24
TOLERANCE = 1e-5


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights whose last layer tells inputs apart, but isn't so steep that rounding shows."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
        if isinstance(layer, nn.BatchNorm3d):
            nn.init.uniform_(layer.weight, 0.7, 1.3, generator=generator)
            nn.init.normal_(layer.bias, 0, 0.1, generator=generator)
            nn.init.normal_(layer.running_mean, 0, 0.1, generator=generator)
            # Below one on average: the gates halve what goes through them.
            nn.init.uniform_(layer.running_var, 0.4, 1.0, generator=generator)
    return network.eval().requires_grad_(False)


def noise(n_frames: int, size: int = SIZE, seed: int = 0) -> Frames:
    """Frames of flat blocks and noise that differ from one to the next."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (n_frames, 4, 4, 3)).repeat(size // 4, axis=1).repeat(size // 4, axis=2)
    return np.clip(blocks + rng.normal(0, 20, blocks.shape), 0, 255).astype(np.uint8)


def plain(network: S3D, frames: Frames, start: int, window: int) -> Tensor:
    clip = torch.from_numpy(frames[start : start + window]).permute(3, 0, 1, 2)[None].float() / 255
    with torch.inference_mode():
        vectors: Tensor = network(clip)
    return vectors


def dense_vectors(dense: DenseS3D, frames: Frames, starts: Any) -> Tensor:
    return torch.cat([torch.empty(0, 512), *dense.vectors(iter(frames), starts)])


def relative_l2(vectors: Tensor, expected: Tensor) -> float:
    return float(((vectors - expected).norm(dim=1) / expected.norm(dim=1)).max()) if len(expected) else 0.0


@pytest.fixture(scope="module")
def network() -> S3D:
    layer = lively(S3D())
    assert isinstance(layer, S3D)
    return layer


@pytest.fixture(scope="module")
def dense(network: S3D) -> DenseS3D:
    return DenseS3D(network, window_frames=WINDOW, batch_size=3)


@pytest.fixture(scope="module")
def expected(network: S3D) -> Tensor:
    """The plain network's vectors of all windows of the frames below."""
    frames = noise(N_FRAMES)
    return torch.cat([plain(network, frames, start, WINDOW) for start in range(N_FRAMES - WINDOW + 1)])


def test_windows_are_far_enough_apart_for_the_comparison_to_mean_something(expected: Tensor) -> None:
    apart = (expected[1:] - expected[:-1]).norm(dim=1) / expected[1:].norm(dim=1)
    assert apart.min() > 1e-2


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(
    n_frames=st.integers(0, N_FRAMES),
    starts=st.sets(st.integers(0, N_FRAMES), max_size=N_FRAMES).map(sorted),
    batch_size=st.integers(1, 6),
)
def test_dense_is_window_by_window(
    network: S3D, expected: Tensor, n_frames: int, starts: list[int], batch_size: int
) -> None:
    whole = [start for start in starts if start + WINDOW <= n_frames]
    vectors = dense_vectors(
        DenseS3D(network, window_frames=WINDOW, batch_size=batch_size), noise(N_FRAMES)[:n_frames], starts
    )
    assert len(vectors) == len(whole)
    assert relative_l2(vectors, expected[whole]) <= TOLERANCE


@pytest.mark.parametrize("window", [6, 10, 16])
def test_windows_of_other_lengths(network: S3D, window: int) -> None:
    frames = noise(window + 7, seed=window)
    starts = list(range(8))
    vectors = dense_vectors(DenseS3D(network, window_frames=window, batch_size=4), frames, starts)
    truth = torch.cat([plain(network, frames, start, window) for start in starts])
    assert relative_l2(vectors, truth) <= TOLERANCE


def test_sizes_that_become_odd_on_the_way_down(network: S3D) -> None:
    frames = noise(WINDOW + 2, size=40)[:, :, :36]
    vectors = dense_vectors(DenseS3D(network, window_frames=WINDOW), frames, range(3))
    truth = torch.cat([plain(network, frames, start, WINDOW) for start in range(3)])
    assert relative_l2(vectors, truth) <= TOLERANCE


@pytest.mark.slow
def test_real_windows_at_the_6_hz_pattern_of_starts(network: S3D) -> None:
    frames = noise(44, size=64)
    starts = [0, 2, 3, 5, 7, 8, 10, 12]
    vectors = dense_vectors(DenseS3D(network), frames, starts)
    truth = torch.cat([plain(network, frames, start, 32) for start in starts])
    assert relative_l2(vectors, truth) <= TOLERANCE


def test_a_window_sees_its_own_frames_and_no_others(dense: DenseS3D) -> None:
    frames = noise(N_FRAMES)
    start = 5
    before = dense_vectors(dense, frames, range(8))[start]
    for changed in range(start - 2, start + WINDOW + 2):
        other = frames.copy()
        other[changed] = 255 - other[changed]
        after = dense_vectors(dense, other, range(8))[start]
        if start <= changed < start + WINDOW:
            assert relative_l2(after[None], before[None]) > 1e-2, changed
        else:
            assert torch.equal(after, before), changed


def test_the_network_given_is_left_alone(network: S3D) -> None:
    before = copy.deepcopy(network.state_dict())
    dense_vectors(DenseS3D(network, window_frames=WINDOW, precision="bfloat16"), noise(WINDOW), [0])
    for key, tensor in network.state_dict().items():
        assert tensor.dtype == before[key].dtype
        assert torch.equal(tensor, before[key]), key


def test_bfloat16_points_the_same_way(network: S3D, expected: Tensor) -> None:
    dense = DenseS3D(network, window_frames=WINDOW, precision="bfloat16")
    vectors = dense_vectors(dense, noise(N_FRAMES), range(8))
    assert vectors.dtype == torch.float32
    assert functional.cosine_similarity(vectors, expected[:8]).min() >= 0.999
    assert not torch.equal(vectors, expected[:8])


def test_endless_frames_and_starts_are_fine(dense: DenseS3D, expected: Tensor) -> None:
    def forever() -> Iterator[Frames]:
        while True:
            yield from noise(N_FRAMES)

    assert relative_l2(torch.cat(list(dense.vectors(forever(), [1, 4]))), expected[[1, 4]]) <= TOLERANCE
    some = list(dense.vectors(iter(noise(N_FRAMES)[: WINDOW + 2]), itertools.count()))
    assert relative_l2(torch.cat(some), expected[:3]) <= TOLERANCE
    assert list(dense.vectors(forever(), [])) == []


@pytest.mark.parametrize("starts", [[0, 3, 3], [4, 2], [-1]])
def test_starts_must_ascend(dense: DenseS3D, starts: list[int]) -> None:
    with pytest.raises(ValueError, match="must ascend"):
        dense_vectors(dense, noise(N_FRAMES), starts)


def test_frames_must_have_even_sides(dense: DenseS3D) -> None:
    with pytest.raises(ValueError, match="must be even"):
        dense_vectors(dense, noise(N_FRAMES)[:, :31], [0])


@pytest.mark.parametrize("window", [0, 2, 4, 9])
def test_windows_must_be_even_and_long_enough(network: S3D, window: int) -> None:
    with pytest.raises(ValueError, match="even number of frames, at least 6"):
        dense_vectors(DenseS3D(network, window_frames=window), noise(12), [0])


def held_bytes(stream: WindowStream) -> int:
    """Memory that is kept between two pieces for the windows still to come; a tensor's whole storage counts."""
    steps = (*stream._inner.values(), *stream._first.values())
    tensors = [*stream._products.values(), *(tensor for step in steps for tensor in step)]
    if stream._frames is not None:
        tensors.append(stream._frames)
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in tensors}
    return sum(storage.nbytes() for storage in storages.values())


def stream_of(network: S3D, n_frames: int, piece: int) -> Iterator[tuple[int, list[Window]]]:
    """Bytes held and windows complete after each piece, with a window at every frame."""
    stream = WindowStream(SharedStem(network), range(10**9), WINDOW)
    frames = torch.from_numpy(noise(piece))
    for _ in range(n_frames // piece):
        with torch.inference_mode():
            windows = stream.push(frames)
        yield held_bytes(stream), windows


def test_what_is_held_does_not_grow_with_the_stream(network: S3D) -> None:
    held, counts = zip(*((held, len(windows)) for held, windows in stream_of(network, 160, 4)), strict=True)
    settled = -(-WINDOW // 4) + 1
    assert len(set(held[settled:])) == 1
    assert max(held) <= 2 * held[settled]
    assert set(counts[settled:]) == {4}
    assert sum(counts) == 160 - WINDOW + 1


def test_nothing_is_held_when_no_window_is_to_come(network: S3D) -> None:
    stream = WindowStream(SharedStem(network), [0, 1], WINDOW)
    frames = torch.from_numpy(noise(WINDOW + 1))
    with torch.inference_mode():
        assert [window.start for window in stream.push(frames)] == [0, 1]
    assert stream.is_exhausted


class SmallMemory:
    """Stands in for a device: a layer fails as CUDA does whenever it gets more than fits."""

    def __init__(self, layer: Any, most: int) -> None:
        self._layer = layer
        self.most = most
        self.failures = 0

    def __call__(self, x: Tensor) -> Any:
        if len(x) > self.most:
            self.failures += 1
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self._layer(x)


def test_frames_are_halved_where_memory_does_not_suffice(
    network: S3D, expected: Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dense = DenseS3D(network, window_frames=WINDOW, batch_size=6)
    small = SmallMemory(dense._stem.place_frames, 3)
    monkeypatch.setattr(dense._stem, "place_frames", small)
    with caplog.at_level(logging.WARNING):
        vectors = dense_vectors(dense, noise(N_FRAMES), range(16))
    assert relative_l2(vectors, expected[:16]) <= TOLERANCE
    assert small.failures == 2  # 10, then 5; 2 fit, and that is remembered
    assert [record.getMessage().split(":")[-1] for record in caplog.records] == [" going on with 5", " going on with 2"]


def test_windows_are_halved_where_memory_does_not_suffice(
    network: S3D, expected: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = DenseS3D(network, window_frames=WINDOW, batch_size=6)
    small = SmallMemory(dense._trunk.forward, 2)
    monkeypatch.setattr(dense._trunk, "forward", small)
    assert relative_l2(dense_vectors(dense, noise(N_FRAMES), range(16)), expected[:16]) <= TOLERANCE
    assert small.failures == 2  # 6, then 3; 1 fits


@pytest.mark.parametrize("part", ["_stem.place_frames", "_trunk.forward"])
def test_memory_that_does_not_suffice_for_one_is_an_error_that_may_pass(
    network: S3D, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    dense = DenseS3D(network, window_frames=WINDOW, batch_size=2)
    layer, method = part.split(".")
    monkeypatch.setattr(getattr(dense, layer), method, SmallMemory(None, 0))
    with pytest.raises(ExtractionError, match="too little memory") as raised:
        dense_vectors(dense, noise(N_FRAMES), range(4))
    assert raised.value.transient


def test_other_errors_are_not_taken_for_want_of_memory(dense: DenseS3D, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Tensor) -> Tensor:
        raise RuntimeError("a defect")

    monkeypatch.setattr(dense._stem, "place_frames", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        dense_vectors(dense, noise(N_FRAMES), [0])


def test_pieces_keep_pace_with_batches() -> None:
    assert [frames_per_batch(n) for n in (1, 3, 6, 32)] == [2, 5, 10, 54]


@settings(deadline=None, max_examples=50)
@given(sizes=st.tuples(*[st.integers(1, 5)] * 3), seed=st.integers(0, 99))
def test_the_maximum_an_axis_at_a_time_is_the_pool(sizes: tuple[int, int, int], seed: int) -> None:
    x = torch.randn(2, 3, *sizes, generator=torch.Generator().manual_seed(seed))
    expected = functional.max_pool3d(x, 3, stride=1, padding=1)
    got = maximum_of_neighbours(x.permute(0, 2, 3, 4, 1).contiguous())
    assert torch.equal(got.permute(0, 4, 1, 2, 3), expected)


@settings(deadline=None, max_examples=15)
@given(batch=st.integers(1, 3), sizes=st.tuples(*[st.integers(1, 4)] * 3))
def test_a_fast_block_is_the_plain_block(batch: int, sizes: tuple[int, int, int]) -> None:
    x = torch.rand(batch, 6, *sizes, generator=torch.Generator().manual_seed(sum(sizes)))
    block = lively(Mixed(MixedWidths(6, 3, 4, 5, 2, 3, 4)))
    assert isinstance(block, Mixed)
    with torch.inference_mode():
        got = FastMixed(block)(x.permute(0, 2, 3, 4, 1).contiguous())
        torch.testing.assert_close(got.permute(0, 4, 1, 2, 3), block(x), rtol=1e-4, atol=1e-5)
    assert got.is_contiguous()
