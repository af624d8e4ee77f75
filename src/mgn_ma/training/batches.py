"""Batches of frames from a packed split: gathered by whole arrays, read ahead in a thread, or kept on the GPU.

No frame is touched one by one. Per batch there is one vectorised gather a modality, in a thread that works while the
network does; where the split fits on the GPU (``device_cache``), the gather happens there and nothing is copied at all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch

from mgn_ma.extractors.prefetch import Prefetch
from mgn_ma.machine import usable_memory
from mgn_ma.training.config import BatchConfig, Shuffle
from mgn_ma.training.gather import AlignedRows, Batch, DeviceRows
from mgn_ma.training.order import Frames, batch_sizes, block_windows
from mgn_ma.training.packed import PackedSplit

logger = logging.getLogger(__name__)


class FrameBatches:
    """Epochs of batches over some frames of a split.

    The order of an epoch depends on ``seed`` and the epoch's number alone, so that training resumes anywhere.

    Args:
        modalities: which of the split's, in the order wanted.
        device: where batches go.
        label_rows: (F,) which row of the labels belongs to each frame; each to its own where not given.

    Attributes:
        shuffle: the one in force, ``full`` or ``blocks``.
    """

    def __init__(
        self,
        split: PackedSplit,
        modalities: Sequence[str],
        config: BatchConfig,
        device: torch.device,
        *,
        seed: int = 0,
        label_rows: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self._config = config
        self._device = device
        self._seed = seed
        self._rows = AlignedRows.from_split(split, modalities, label_rows)
        self.shuffle = resolve_shuffle(split, modalities, config, device)
        is_cached = _fits_on(device, self._rows.nbytes, config)
        self._cached = DeviceRows(self._rows, device) if is_cached else None
        logger.debug("%s: %s shuffle, on the device: %s", split.folder.name, self.shuffle, is_cached)

    def epoch(self, frames: Frames, number: int) -> Iterator[Batch]:
        """Each of the ascending ``frames`` once, shuffled for the epoch ``number``."""
        random = np.random.default_rng([self._seed, number])
        sizes = batch_sizes(len(frames), self._config.batch_size)
        if self.shuffle == "full":
            return self.gathered(_cut(random.permutation(frames), sizes))
        windows = block_windows(
            frames, random, block_frames=self._config.block_frames, window_frames=self._config.window_frames
        )
        if self._cached is not None:
            return self.gathered(_cut(np.concatenate([window[order] for window, order in windows]), sizes))
        return self._streamed(_cut_windows(_read_ahead(self._rows, windows), sizes))

    def gathered(self, cuts: Iterable[Frames]) -> Iterator[Batch]:
        """A batch for each of ``cuts``, the numbers of its frames."""
        if self._cached is not None:
            return map(self._cached.gather, cuts)
        return self._streamed(map(self._rows.gather, cuts))

    def _streamed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        on_device = (batch.to(self._device) for batch in batches)
        with Prefetch(on_device, self._config.prefetch, name="batches") as ready:
            yield from ready


def _cut(order: Frames, sizes: Sequence[int]) -> Iterator[Frames]:
    start = 0
    for size in sizes:
        yield order[start : start + size]
        start += size


def _read_ahead(rows: AlignedRows, windows: Iterator[tuple[Frames, Frames]]) -> Iterator[tuple[AlignedRows, Frames]]:
    """Read the next window while the last one is used: never more than two are in memory."""
    with ThreadPoolExecutor(1, thread_name_prefix="window") as reader:
        coming = None
        for frames, order in windows:
            submitted = (reader.submit(rows.read, frames), order)
            if coming is not None:
                yield coming[0].result(), coming[1]
            coming = submitted
        if coming is not None:
            yield coming[0].result(), coming[1]


def _cut_windows(windows: Iterable[tuple[AlignedRows, Frames]], sizes: Sequence[int]) -> Iterator[Batch]:
    """Batches of the given sizes; one may begin in a window and end in the next."""
    wanted = iter(sizes)
    size = next(wanted, 0)
    pieces: list[Batch] = []
    for window, order in windows:
        start = 0
        while start < len(order):
            piece = window.gather(order[start : start + size - sum(len(p.frames) for p in pieces)])
            start += len(piece.frames)
            pieces.append(piece)
            if sum(len(p.frames) for p in pieces) == size:
                yield Batch.join(pieces)
                pieces, size = [], next(wanted, 0)


def _fits_on(device: torch.device, nbytes: int, config: BatchConfig) -> bool:
    if device.type != "cuda" or config.device_cache == "off":
        return False
    if config.device_cache == "on":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return nbytes <= config.device_cache_share * free


def resolve_shuffle(
    split: PackedSplit, modalities: Sequence[str], config: BatchConfig, device: torch.device
) -> Shuffle:
    """What ``shuffle: auto`` is on this machine: full where the matrices fit the page cache or the device, else blocks.

    What is not ``auto`` is what it says.
    """
    if config.shuffle != "auto":
        return config.shuffle
    nbytes = sum(split.matrices[name].nbytes for name in modalities)
    allowed = usable_memory() / 2 if config.page_cache_gib is None else config.page_cache_gib * 2**30
    return "full" if nbytes <= allowed or _fits_on(device, nbytes, config) else "blocks"
