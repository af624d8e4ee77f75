"""Vectorised gathers of frames: "the vectors, presence and labels of these", with one operation a modality.

Training gathers from the mapped files of a packed split, from windows of it that were read into memory, or on a GPU;
prediction from the tracks of one video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mgn_ma.extractors.base import TrackRows
from mgn_ma.features.alignment import locate
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.order import Frames
from mgn_ma.training.packed import MATRIX_DTYPE, Halves, PackedModality, PackedSplit

Labels = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batch:
    """B frames, all on one device.

    Attributes:
        features: by modality, (B, D_m) float16; rows that are not present hold any finite values.
        present: by modality, (B,) bool.
        labels: (B, C) float32, or ``None``.
        frames: (B,) which frames of the split these are; on the host.
    """

    features: dict[str, Tensor]
    present: dict[str, Tensor]
    labels: Tensor | None
    frames: Frames

    @staticmethod
    def join(pieces: Sequence[Batch]) -> Batch:
        """The frames of all ``pieces`` in their order."""
        if len(pieces) == 1:
            return pieces[0]
        first = pieces[0]
        labels = [piece.labels for piece in pieces if piece.labels is not None]
        return Batch(
            {name: torch.cat([piece.features[name] for piece in pieces]) for name in first.features},
            {name: torch.cat([piece.present[name] for piece in pieces]) for name in first.present},
            torch.cat(labels) if labels else None,
            np.concatenate([piece.frames for piece in pieces]),
        )

    def to(self, device: torch.device) -> Batch:
        """The same on a device; a copy to a GPU runs beside the network's own work."""

        def move(tensor: Tensor) -> Tensor:
            # Only a copy from pinned memory does not make the host wait.
            return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

        return Batch(
            {name: move(vectors) for name, vectors in self.features.items()},
            {name: move(mask) for name, mask in self.present.items()},
            None if self.labels is None else move(self.labels),
            self.frames,
        )


@dataclass(frozen=True)
class AlignedRows:
    """F frames, and which row of each modality's matrix serves each of them; in memory, or mapped from files.

    What is mapped and not in the page cache costs a disk access a row; `read` brings frames into memory by large reads.

    Attributes:
        matrices: (R_m, D_m) by modality.
        pointers: (F,) by modality, rows of its matrix, -1 where absent.
        labels: (L, C), or ``None``.
        frames: (F,) which frames of the split these are.
        label_rows: (F,) which row of the labels belongs to each frame; each to its own where not given.
    """

    matrices: Mapping[str, Halves]
    pointers: Mapping[str, npt.NDArray[np.integer[Any]]]
    labels: Labels | None
    frames: Frames
    label_rows: npt.NDArray[np.int64] | None = None

    @classmethod
    def from_split(
        cls, split: PackedSplit, modalities: Sequence[str], label_rows: npt.NDArray[np.int64] | None = None
    ) -> AlignedRows:
        """All frames of a split, with some of its modalities in the order wanted.

        Raises:
            TrainingError: the split does not have one of them.
        """
        unknown = [name for name in modalities if name not in split.modalities]
        if unknown:
            has = ", ".join(split.modalities)
            raise TrainingError(f"the {split.description.split} split has no modality {unknown[0]!r}, only {has}")
        columns = dict(zip(split.modalities, split.index.T, strict=True))
        return cls(
            {name: split.matrices[name] for name in modalities},
            {name: columns[name] for name in modalities},
            split.labels,
            np.arange(split.n_frames),
            label_rows,
        )

    @classmethod
    def from_tracks(
        cls,
        tracks: Mapping[str, TrackRows],
        modalities: Mapping[str, PackedModality],
        timestamps_us: npt.NDArray[np.int64],
    ) -> AlignedRows:
        """The frames of one video at ``timestamps_us`` (F,); a modality without a track is absent."""
        matrices, pointers = {}, {}
        for name, modality in modalities.items():
            rows = tracks.get(name)
            if rows is None:
                matrices[name] = np.zeros((0, modality.width), dtype=MATRIX_DTYPE)
                pointers[name] = np.full(len(timestamps_us), -1, dtype=np.int64)
            else:
                matrices[name] = np.asarray(rows.vectors, dtype=MATRIX_DTYPE)
                pointers[name] = locate(rows.timestamps_us, rows.ends_us, timestamps_us, modality.tolerance_us)
        return cls(matrices, pointers, None, np.arange(len(timestamps_us)))

    @property
    def nbytes(self) -> int:
        """Bytes of all matrices together."""
        return sum(matrix.nbytes for matrix in self.matrices.values())

    def labels_of(self, positions: Frames) -> Labels | None:
        """(B, C), or ``None`` where there are none."""
        if self.labels is None:
            return None
        return np.asarray(self.labels[positions if self.label_rows is None else self.label_rows[positions]])

    def gather(self, positions: Frames) -> Batch:
        """The frames at ``positions`` (B,), in any order, on the host."""
        features, present = {}, {}
        for name, matrix in self.matrices.items():
            rows = self.pointers[name][positions]
            features[name] = torch.from_numpy(take(matrix, rows))
            present[name] = torch.from_numpy(rows >= 0)
        labels = self.labels_of(positions)
        return Batch(features, present, None if labels is None else torch.from_numpy(labels), self.frames[positions])

    def read(self, positions: Frames) -> AlignedRows:
        """The frames at ascending ``positions`` of mapped files, read into memory."""
        matrices, pointers = {}, {}
        for name, matrix in self.matrices.items():
            rows = self.pointers[name][positions]
            used, position = np.unique(rows[rows >= 0], return_inverse=True)
            pointers[name] = np.full(len(rows), -1, dtype=np.int64)
            pointers[name][rows >= 0] = position
            matrices[name] = read_rows(matrix, used)
        return AlignedRows(matrices, pointers, self.labels_of(positions), self.frames[positions])


class DeviceRows:
    """All frames and matrices on a GPU: nothing is copied per batch but the numbers of its frames."""

    def __init__(self, rows: AlignedRows, device: torch.device) -> None:
        self._device = device
        self._matrices = {name: _upload(matrix, device) for name, matrix in rows.matrices.items()}
        self._pointers = {
            name: torch.from_numpy(pointers.astype(np.int64)).to(device) for name, pointers in rows.pointers.items()
        }
        labels = rows.labels_of(np.arange(len(rows.frames)))
        self._labels = None if labels is None else torch.from_numpy(labels).to(device)

    def gather(self, frames: Frames) -> Batch:
        """The given ``frames`` (B,), in any order, on the device."""
        wanted = torch.from_numpy(frames).to(self._device, non_blocking=True)  # (B,)
        features, present = {}, {}
        for name, matrix in self._matrices.items():
            rows = self._pointers[name][wanted]  # (B,)
            present[name] = rows >= 0  # (B,)
            features[name] = matrix.index_select(0, rows.clamp(min=0))  # (B, D_m)
        return Batch(features, present, None if self._labels is None else self._labels[wanted], frames)


def take(matrix: Halves, rows: npt.NDArray[np.integer[Any]]) -> Halves:
    """Rows (B, D) of a matrix; any finite vector where the number is -1."""
    if len(matrix) == 0:
        return np.zeros((len(rows), matrix.shape[1]), dtype=matrix.dtype)
    gathered = np.empty((len(rows), matrix.shape[1]), dtype=matrix.dtype)
    # Clipping takes row 0 for -1, and spares the copy that a checked take makes of its output.
    return np.take(matrix, rows, axis=0, out=gathered, mode="clip")


def read_rows(matrix: Halves, rows: npt.NDArray[np.integer[Any]]) -> Halves:
    """Read ascending, distinct ``rows`` of a mapped matrix into memory (R, D), neighbours in one read each."""
    result = np.empty((len(rows), matrix.shape[1]), dtype=matrix.dtype)
    if len(rows) == 0:
        return result
    assert isinstance(matrix, np.memmap)  # noqa: S101 - what isn't mapped is in memory already
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    starts, ends = np.append(0, cuts), np.append(cuts, len(rows))
    row_bytes = matrix.shape[1] * matrix.dtype.itemsize
    content = result.data.cast("B")
    with Path(str(matrix.filename)).open("rb", buffering=0) as file:
        for start, end, row in zip(starts.tolist(), ends.tolist(), rows[starts].tolist(), strict=True):
            file.seek(matrix.offset + row * row_bytes)
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
