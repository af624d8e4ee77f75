"""Vectorised gathers of frames from a packed split: from mapped files, from a window read into memory, or on a GPU.

All three answer the same question, "the vectors, presence and labels of these frames", with one operation a modality.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mgn_ma.training.errors import TrainingError
from mgn_ma.training.order import Frames
from mgn_ma.training.packed import Halves, PackedSplit, matrix_path

Presence = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HostBatch:
    """B frames in host memory; fields as of `mgn_ma.training.batches.Batch`, as NumPy arrays."""

    features: dict[str, Halves]
    present: dict[str, Presence]
    labels: Labels | None
    frames: Frames

    @staticmethod
    def join(pieces: Sequence[HostBatch]) -> HostBatch:
        """The frames of all ``pieces`` in their order."""
        if len(pieces) == 1:
            return pieces[0]
        first = pieces[0]
        labels = [piece.labels for piece in pieces if piece.labels is not None]
        return HostBatch(
            {name: np.concatenate([piece.features[name] for piece in pieces]) for name in first.features},
            {name: np.concatenate([piece.present[name] for piece in pieces]) for name in first.present},
            np.concatenate(labels) if labels else None,
            np.concatenate([piece.frames for piece in pieces]),
        )


class MappedRows:
    """Gathers from the mapped files of a split; what the page cache does not hold costs a disk access a row.

    Args:
        split: what is read.
        modalities: which of its modalities, in the order wanted.
        label_rows: (F,) which row of the labels belongs to each frame; each to its own where not given.
    """

    def __init__(
        self, split: PackedSplit, modalities: Sequence[str], label_rows: npt.NDArray[np.int64] | None = None
    ) -> None:
        unknown = [name for name in modalities if name not in split.modalities]
        if unknown:
            has = ", ".join(split.modalities)
            raise TrainingError(f"the {split.description.split} split has no modality {unknown[0]!r}, only {has}")
        self.split = split
        self.modalities = list(modalities)
        self.label_rows = label_rows
        columns = {name: column for column, name in enumerate(split.modalities)}
        self._columns = [columns[name] for name in modalities]

    @property
    def nbytes(self) -> int:
        """Bytes of the matrices that are gathered from."""
        return sum(self.split.matrices[name].nbytes for name in self.modalities)

    def pointers(self, frames: Frames) -> npt.NDArray[np.int64]:
        """(M, B) rows of the modalities' matrices, -1 where absent."""
        return np.ascontiguousarray(self.split.index[frames][:, self._columns].T, dtype=np.int64)

    def labels(self, frames: Frames) -> Labels | None:
        """(B, C), or ``None`` where the split has none."""
        if self.split.labels is None:
            return None
        return np.asarray(self.split.labels[frames if self.label_rows is None else self.label_rows[frames]])

    def gather(self, frames: Frames) -> HostBatch:
        """The given ``frames`` (B,), in any order."""
        features, present = {}, {}
        for name, rows in zip(self.modalities, self.pointers(frames), strict=True):
            features[name] = take(self.split.matrices[name], rows)
            present[name] = rows >= 0
        return HostBatch(features, present, self.labels(frames), frames)


class Window:
    """Some thousands of frames read into memory by large reads, to be gathered from in any order.

    Args:
        mapped: where they are read from.
        frames: ascending.
    """

    def __init__(self, mapped: MappedRows, frames: Frames) -> None:
        self._frames = frames
        self._labels = mapped.labels(frames)
        self._matrices: dict[str, Halves] = {}
        self._pointers: dict[str, npt.NDArray[np.int64]] = {}
        for name, rows in zip(mapped.modalities, mapped.pointers(frames), strict=True):
            used, position = np.unique(rows[rows >= 0], return_inverse=True)
            pointers = np.full(len(rows), -1, dtype=np.int64)
            pointers[rows >= 0] = position
            self._pointers[name] = pointers
            self._matrices[name] = read_rows(mapped.split, name, used)

    def gather(self, positions: Frames) -> HostBatch:
        """The frames at ``positions`` of the window, in any order."""
        features, present = {}, {}
        for name, matrix in self._matrices.items():
            rows = self._pointers[name][positions]
            features[name] = take(matrix, rows)
            present[name] = rows >= 0
        labels = None if self._labels is None else self._labels[positions]
        return HostBatch(features, present, labels, self._frames[positions])


class DeviceRows:
    """The whole split on a GPU: nothing is copied per batch but the numbers of its frames."""

    def __init__(self, mapped: MappedRows, device: torch.device) -> None:
        split = mapped.split
        self._device = device
        self._matrices = {name: _upload(split.matrices[name], device) for name in mapped.modalities}
        every = np.arange(split.n_frames)
        self._pointers = dict(zip(mapped.modalities, torch.from_numpy(mapped.pointers(every)).to(device), strict=True))
        labels = mapped.labels(every)
        self._labels = None if labels is None else torch.from_numpy(labels).to(device)

    def gather(self, frames: Frames) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]:
        """Features, presence and labels of the given ``frames`` (B,) on the device."""
        wanted = torch.from_numpy(frames).to(self._device, non_blocking=True)  # (B,)
        features, present = {}, {}
        for name, matrix in self._matrices.items():
            rows = self._pointers[name][wanted]  # (B,)
            present[name] = rows >= 0  # (B,)
            features[name] = matrix.index_select(0, rows.clamp(min=0))  # (B, D_m)
        return features, present, None if self._labels is None else self._labels[wanted]


def take(matrix: Halves, rows: npt.NDArray[np.int64]) -> Halves:
    """Rows (B, D) of a matrix; any finite vector where the number is -1."""
    if len(matrix) == 0:
        return np.zeros((len(rows), matrix.shape[1]), dtype=matrix.dtype)
    gathered = np.empty((len(rows), matrix.shape[1]), dtype=matrix.dtype)
    # Clipping takes row 0 for -1, and spares the copy that a checked take makes of its output.
    return np.take(matrix, rows, axis=0, out=gathered, mode="clip")


def read_rows(split: PackedSplit, modality: str, rows: npt.NDArray[np.int64]) -> Halves:
    """Read ascending, distinct ``rows`` of a matrix into memory (R, D), neighbours in one read each."""
    matrix = split.matrices[modality]
    result = np.empty((len(rows), matrix.shape[1]), dtype=matrix.dtype)
    if len(rows) == 0:
        return result
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    starts, ends = np.append(0, cuts), np.append(cuts, len(rows))
    row_bytes = matrix.shape[1] * matrix.dtype.itemsize
    content = result.data.cast("B")
    with matrix_path(split.folder, modality).open("rb", buffering=0) as file:
        first_byte = file.seek(0, os.SEEK_END) - len(matrix) * row_bytes
        for start, end, row in zip(starts.tolist(), ends.tolist(), rows[starts].tolist(), strict=True):
            file.seek(first_byte + row * row_bytes)
            _read_into(file, content[start * row_bytes : end * row_bytes])
    return result


def _read_into(file: FileIO, buffer: memoryview) -> None:
    while len(buffer):
        n_read = file.readinto(buffer)
        if not n_read:
            raise TrainingError(f"{file.name} ended early: it was changed while it was in use")
        buffer = buffer[n_read:]


def _upload(matrix: Halves, device: torch.device, rows: int = 1 << 16) -> Tensor:
    # At least one row, for -1, clipped to 0, to read where a matrix is empty.
    uploaded = torch.zeros((max(1, len(matrix)), matrix.shape[1]), dtype=torch.float16, device=device)  # (R_m, D_m)
    for start in range(0, len(matrix), rows):
        uploaded[start : start + rows] = torch.from_numpy(np.array(matrix[start : start + rows]))
    return uploaded
