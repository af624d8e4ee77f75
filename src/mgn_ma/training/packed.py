"""One split ready for training: a float16 matrix a modality, and for each labelled frame a pointer into each matrix.

Nothing is repeated to the 6 Hz of the frames: an audio patch that serves six frames is stored once. Everything is
memory-mapped, so that a split may be larger than memory. The folder holds::

    split.json                   what it is: modalities with widths, extractor fingerprints and tolerances; video ids
    <fingerprint[:16]>/          the arrays of the split with the fingerprint that split.json names
        matrices/<modality>.npy  (R_m, D_m) float16, the rows that frames point to
        index.npy                (F, M) int32, row of each modality's matrix, -1 where the modality is absent
        labels.npy               (F, C) float32; no such file where there are no labels
        timestamps_us.npy        (F,) int64
        offsets.npy              (V + 1,) int64, first frame of every video, then F
    unfinished/                  what a killed packing had written; the next one removes it
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from mgn_ma.eev.targets import Targets
from mgn_ma.extractors.base import Clock
from mgn_ma.training.errors import TrainingError

FORMAT: Final = 3
DESCRIPTION = "split.json"
MATRICES = "matrices"
MATRIX_DTYPE = np.float16
_TAIL_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 24

Halves = npt.NDArray[np.float16]
Integers = npt.NDArray[np.int64]


class PackedModality(BaseModel):
    """What the vectors of a modality are, and so what a model trained on them must be given later.

    Attributes:
        fingerprint: of the extractor.
        clock: what the timestamps of its tracks are.
        tolerance_us: how far from a row a frame may be that is still served by it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int
    fingerprint: str
    clock: Clock
    tolerance_us: int


class PackedFile(BaseModel):
    """What an array's file holds.

    Attributes:
        size: in bytes.
        tail_crc32: of its last 64 KiB, which tell whether it was written to its end.
        crc32: of all of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int
    tail_crc32: int
    crc32: int

    @classmethod
    def from_path(cls, path: Path) -> PackedFile:
        """Read a file."""
        return cls(size=path.stat().st_size, tail_crc32=_crc32(path, _TAIL_BYTES), crc32=_crc32(path))

    def is_in(self, path: Path, *, whole: bool) -> bool:
        """Whether a file still holds it, by its size and its end, or by all of it."""
        if not path.exists() or path.stat().st_size != self.size:
            return False
        return _crc32(path, _TAIL_BYTES) == self.tail_crc32 and (not whole or _crc32(path) == self.crc32)


def _crc32(path: Path, last_bytes: int | None = None) -> int:
    checksum = 0
    with path.open("rb") as file:
        if last_bytes is not None:
            file.seek(max(0, path.stat().st_size - last_bytes))
        while block := file.read(_BLOCK_BYTES):
            checksum = zlib.crc32(block, checksum)
    return checksum


class PackedDescription(BaseModel):
    """The content of ``split.json``.

    Attributes:
        targets: what the labels are, C of them.
        fingerprint: of everything that the split was packed from: frames, labels, extractors and sources.
        made_from: digests of the ``labels`` of the split and of all ``videos``, as ingestion found them; see
            `mgn_ma.training.current`.
        files: by path within the folder of the arrays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[3] = FORMAT
    split: str
    modalities: dict[str, PackedModality]
    targets: Targets
    video_ids: tuple[str, ...]
    fingerprint: str
    made_from: dict[str, str] = {}
    files: dict[str, PackedFile]

    @property
    def arrays(self) -> str:
        """Name of the folder that holds the arrays."""
        return self.fingerprint[:16]


class PackedSplit:
    """A packed split, opened; it pickles as its path.

    Attributes:
        folder: where it stands.
        description: what it is.
        matrices: (R_m, D_m) float16 by modality, mapped.
        index: (F, M) int32, mapped; columns in the order of the modalities.
        labels: (F, C) float32, mapped, or ``None``.
        timestamps_us: (F,) int64, mapped.
        offsets: (V + 1,) int64.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        described = self.folder / DESCRIPTION
        if not described.exists():
            raise TrainingError(f"{self.folder} holds no packed split: run the pipeline model_input first")
        try:
            self.description = PackedDescription.model_validate_json(described.read_bytes())
        except ValueError as error:
            raise TrainingError(
                f"{described} does not describe a packed split of format {FORMAT}, which this version reads: run the "
                "pipeline model_input again"
            ) from error
        self.check()
        self.matrices: dict[str, Halves] = {name: self._map(f"{MATRICES}/{name}") for name in self.modalities}
        self.index: npt.NDArray[np.int32] = self._map("index")
        self.timestamps_us: Integers = self._map("timestamps_us")
        self.offsets: Integers = np.array(self._map("offsets"))
        has_labels = (self.folder / self.description.arrays / "labels.npy").exists()
        self.labels: npt.NDArray[np.float32] | None = self._map("labels") if has_labels else None

    def check(self, *, whole: bool = False) -> None:
        """Compare the arrays' files with what was packed: sizes and ends, or all their bytes.

        Raises:
            TrainingError: one is damaged; the message names it.
        """
        for name, file in self.description.files.items():
            path = self.folder / self.description.arrays / name
            if not file.is_in(path, whole=whole):
                raise TrainingError(
                    f"{path} is not as it was packed: run the pipeline model_input, which packs it anew"
                )

    @property
    def modalities(self) -> dict[str, PackedModality]:
        """What is known of each modality, in the order of the index."""
        return self.description.modalities

    @property
    def widths(self) -> dict[str, int]:
        """Length of a vector by modality."""
        return {name: modality.width for name, modality in self.modalities.items()}

    @property
    def targets(self) -> Targets:
        """What the labels are."""
        return self.description.targets

    @property
    def video_ids(self) -> tuple[str, ...]:
        """The videos in the order of their blocks."""
        return self.description.video_ids

    @property
    def n_frames(self) -> int:
        """F."""
        return len(self.index)

    def video_numbers(self, frames: npt.NDArray[np.integer[Any]]) -> Integers:
        """Which video, by its number, each of ``frames`` is of."""
        return np.searchsorted(self.offsets, frames, side="right") - 1

    def names_of_videos(self, frames: npt.NDArray[np.integer[Any]]) -> list[str]:
        """Ids of the videos that ``frames`` are of, each once, in their order."""
        return [self.video_ids[number] for number in np.unique(self.video_numbers(frames))]

    def videos_by_modality(self) -> dict[str, list[str]]:
        """By modality, the videos that have any vector of it."""
        has_any = np.maximum.reduceat(self.index, self.offsets[:-1], axis=0) >= 0
        return {
            name: [self.video_ids[number] for number in np.flatnonzero(column)]
            for name, column in zip(self.modalities, has_any.T, strict=True)
        }

    def face_frames(self) -> Integers:
        """The frames that have labels, ascending: where zeros mean that no face was seen, those that are not all zero.

        Raises:
            TrainingError: the split has no labels.
        """
        found = [start + np.flatnonzero(self.targets.labelled(block.T)) for start, block in self._label_blocks()]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    def _label_blocks(self, rows: int = 1 << 18) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        if self.labels is None:
            raise TrainingError(f"the {self.description.split} split has no labels")
        for start in range(0, self.n_frames, rows):
            yield start, self.labels[start : start + rows]

    def _map(self, name: str) -> Any:
        return np.load(self.folder / self.description.arrays / f"{name}.npy", mmap_mode="r")

    def __reduce__(self) -> tuple[type[PackedSplit], tuple[Path]]:
        return PackedSplit, (self.folder,)


def check_modalities(split: PackedSplit, expected: dict[str, PackedModality], whose: str) -> None:
    """Refuse a split whose vectors are not those that a model was trained on.

    Raises:
        TrainingError: a modality is missing, or its width or fingerprint differs; the message names both sides.
    """
    name = f"the {split.description.split} split"
    for modality, wanted in expected.items():
        found = split.modalities.get(modality)
        if found is None:
            raise TrainingError(f"{whose} needs the modality {modality!r}; {name} has {', '.join(split.modalities)}")
        for what in ("width", "fingerprint"):
            if getattr(found, what) != getattr(wanted, what):
                raise TrainingError(
                    f"{modality} vectors of {whose} have {what} {getattr(wanted, what)}, those of {name} "
                    f"{getattr(found, what)}: extract and pack again with the settings of the model, or train again"
                )
