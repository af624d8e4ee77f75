"""Packs the tracks and labels of one split into the folder that `mgn_ma.training.packed` describes, as a stream.

Videos are read one after the other and written on; what is held at a time is one track, so peak memory does not depend
on how many videos there are.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.correlation import frames_to_offsets
from mgn_ma.eev.frames import expression_names
from mgn_ma.eev.targets import Targets
from mgn_ma.execution.progress import Progress
from mgn_ma.extractors.base import Clock
from mgn_ma.features.alignment import locate
from mgn_ma.features.track import Track, TrackError, TrackHeader
from mgn_ma.files import Folder
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.npy import NpyWriter
from mgn_ma.training.packed import (
    DESCRIPTION,
    FORMAT,
    MATRICES,
    MATRIX_DTYPE,
    PackedDescription,
    PackedFile,
    PackedModality,
    PackedSplit,
)

logger = logging.getLogger(__name__)

LABELS = "labels"
"""What the labels of a split, ``labels_train``, are called among what tracks are made from."""

_MAKE_ANEW = "run the pipeline video_features before model_input"

UNFINISHED = "unfinished"
"""Folder that a packing writes to; always the same, so that the next packing finds what a killed one left."""


class Tracks(Protocol):
    """What packing needs of a modality's tracks; `mgn_ma.features.view.TrackView` is one."""

    @property
    def width(self) -> int:
        """Length of a vector."""
        ...

    @property
    def clock(self) -> Clock:
        """What the timestamps are."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the extractor."""
        ...

    @property
    def headers(self) -> Mapping[str, TrackHeader]:
        """Of the videos that have a track."""
        ...

    def read(self, video_id: str) -> Track:
        """The track of a video that has one."""
        ...


@dataclass(frozen=True)
class PackPlan:
    """Everything a packed split is made of; nothing is read before `pack`.

    Attributes:
        split: its name.
        frames: ``video_id`` and ``timestamp_us``, one block a video, and the targets where there are labels.
        targets: what the labels are, or would be.
        tracks: by modality, in the order that the index will have.
        tolerances_us: by modality, how far from a row a frame may be.
        sources: by modality, further tracks, not packed, that those of a learned modality may be made from.
        labels_digest: of the split's labels, which modalities may be learned from.
        made_from: what the packed split will say of the data that it was made from.
    """

    split: str
    frames: pd.DataFrame
    targets: Targets
    tracks: Mapping[str, Tracks]
    tolerances_us: Mapping[str, int]
    sources: Mapping[str, Tracks] = field(default_factory=dict)
    labels_digest: str | None = None
    made_from: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_labels(self) -> bool:
        """Whether the frames come with labels."""
        return bool(expression_names(self.frames))

    def modalities(self) -> dict[str, PackedModality]:
        """What the packed split will say of its modalities."""
        return {
            name: PackedModality(
                width=tracks.width,
                fingerprint=tracks.fingerprint,
                clock=tracks.clock,
                tolerance_us=self.tolerances_us[name],
            )
            for name, tracks in self.tracks.items()
        }

    def fingerprint(self) -> str:
        """Hex digest of frames, labels, extractors and sources: equal plans pack to equal bytes."""
        ids = self.frames["video_id"].unique().tolist()
        made_from = {
            "format": FORMAT,
            "split": self.split,
            "targets": self.targets.model_dump(),
            "modalities": {name: modality.model_dump() for name, modality in self.modalities().items()},
            "sources": {
                name: [(v, tracks.headers[v].source_digest) for v in ids if v in tracks.headers]
                for name, tracks in self.tracks.items()
            },
        }
        digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode())
        digest.update(pd.util.hash_pandas_object(self.frames, index=False).to_numpy().tobytes())
        return digest.hexdigest()


def pack(plan: PackPlan, folder: Path | str, *, verify: bool = False) -> PackedSplit:
    """Write a split as a whole, or not at all; one that is there already and was packed from the same is kept.

    Whenever this is killed, the folder holds the former split or the new one, and the next packing removes the rest.
    A split with files that are not as they were written is packed anew.

    Args:
        verify: compare all bytes of one that is there, and not its files' sizes and ends only.

    Raises:
        TrainingError: no modalities, labels of other targets, or the frames of a video are not one block.
        TrackError: a track can't be read, or is one of a learned modality that was made from others than there are now.
    """
    folder = Path(folder)
    if not plan.tracks:
        raise TrainingError(f"the {plan.split} split has no modalities: there is nothing to pack")
    labelled = expression_names(plan.frames)
    if labelled and labelled != plan.targets.names:
        raise TrainingError(
            f"the labels of the {plan.split} split are {', '.join(labelled)}, and the parameter `targets` names "
            f"{', '.join(plan.targets.names)}: run the pipeline ingestion again"
        )
    _require_unmixed(plan)
    fingerprint = plan.fingerprint()
    standing = _undamaged(_standing(folder), folder, verify=verify)
    _remove_all_but(standing, folder)
    before = PackedSplit(folder).videos_by_modality() if standing and standing.fingerprint != fingerprint else {}
    if standing is None or standing.fingerprint != fingerprint:
        unfinished = folder / UNFINISHED
        (unfinished / MATRICES).mkdir(parents=True)
        try:
            description = _write(plan, unfinished, fingerprint)
            unfinished.rename(folder / description.arrays)
            Folder(folder).write(DESCRIPTION, description.model_dump_json(indent=1).encode())
        finally:
            _remove_all_but(_standing(folder), folder)
    elif standing.made_from != plan.made_from:  # videos or labels that are not of this split have changed
        renamed = standing.model_copy(update={"made_from": dict(plan.made_from)})
        Folder(folder).write(DESCRIPTION, renamed.model_dump_json(indent=1).encode())
    split = PackedSplit(folder)
    if before:
        _warn_of_fewer(before, split)
    return split


def _warn_of_fewer(before: Mapping[str, list[str]], split: PackedSplit) -> None:
    """Say which videos are trained on no more: a disk that was away, say, makes a smaller model and no error."""
    now = split.videos_by_modality()
    for name in (name for name in before if name in now):
        if gone := sorted(set(before[name]) - set(now[name])):
            logger.warning(
                "%s: %d of %d videos that had %s vectors when it was packed last have none now (%s); the account of "
                "the extraction says why",
                *(split.description.split, len(gone), len(before[name]), name, gone[0] + (", …" if gone[1:] else "")),
            )


def _require_unmixed(plan: PackPlan) -> None:
    """Refuse a learned modality whose vectors are of other tracks, or of other labels, than there are now."""
    there = {**plan.sources, **plan.tracks}
    video_ids = plan.frames["video_id"].unique().tolist()
    for name, tracks in plan.tracks.items():
        learned_from = next((header.made_from for header in tracks.headers.values()), {})
        if plan.labels_digest not in (None, learned_from.get(f"{LABELS}_{plan.split}", plan.labels_digest)):
            raise TrackError(f"the {name} tracks were learned from other labels than there are now: {_MAKE_ANEW}")
        for source in sorted(learned_from.keys() & there.keys()):
            for video_id in video_ids:
                made, now = tracks.headers.get(video_id), there[source].headers.get(video_id)
                if (made.made_from[source] if made else "") != (now.digest() if now else ""):
                    raise TrackError(
                        f"the {name} track of {video_id} was not made from the {source} track that is there now: "
                        f"{_MAKE_ANEW}"
                    )


def _standing(folder: Path) -> PackedDescription | None:
    """The split that is there as a whole; one of another format is none."""
    try:
        described = PackedDescription.model_validate_json((folder / DESCRIPTION).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return described if (folder / described.arrays).is_dir() else None


def _undamaged(standing: PackedDescription | None, folder: Path, *, verify: bool) -> PackedDescription | None:
    if standing is not None:
        try:
            PackedSplit(folder).check(whole=verify)
        except TrainingError as error:
            logger.warning("%s", error)
            return None
    return standing


def _remove_all_but(split: PackedDescription | None, folder: Path) -> None:
    kept = {DESCRIPTION} if split is None else {DESCRIPTION, split.arrays}
    for entry in folder.iterdir() if folder.exists() else ():
        if entry.name in kept:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _write(plan: PackPlan, folder: Path, fingerprint: str) -> PackedDescription:
    video_ids, offsets = frames_to_offsets(plan.frames["video_id"])
    modalities = plan.modalities()
    timestamps_us = plan.frames["timestamp_us"].to_numpy(np.int64)
    with ExitStack() as files:
        matrices = {
            name: files.enter_context(NpyWriter(folder / MATRICES / f"{name}.npy", (modality.width,), MATRIX_DTYPE))
            for name, modality in modalities.items()
        }
        index = files.enter_context(NpyWriter(folder / "index.npy", (len(modalities),), np.int32))
        meter = files.enter_context(Progress(len(video_ids), f"packing {plan.split}", unit="video"))
        for video_id, start, stop in zip(video_ids, offsets[:-1], offsets[1:], strict=True):
            times = timestamps_us[start:stop]
            pointers = [_append(plan, name, video_id, times, matrices[name]) for name in modalities]
            index.append(np.stack(pointers, axis=1))
            meter.update()
    np.save(folder / "offsets.npy", offsets)
    np.save(folder / "timestamps_us.npy", timestamps_us)
    if plan.has_labels:
        _write_labels(plan, folder / "labels.npy")
    return PackedDescription(
        split=plan.split,
        modalities=modalities,
        targets=plan.targets,
        video_ids=tuple(video_ids),
        fingerprint=fingerprint,
        made_from=dict(plan.made_from),
        files={
            path.relative_to(folder).as_posix(): PackedFile.from_path(path) for path in sorted(folder.rglob("*.npy"))
        },
    )


def _append(
    plan: PackPlan, modality: str, video_id: str, times_us: npt.NDArray[np.int64], matrix: NpyWriter
) -> npt.NDArray[np.int64]:
    """Append the rows that a video's frames point to, and return where each frame's row went, -1 for absent."""
    tracks = plan.tracks[modality]
    pointers = np.full(len(times_us), -1, dtype=np.int64)
    if video_id not in tracks.headers:
        return pointers
    rows = tracks.read(video_id).rows
    found = locate(rows.timestamps_us, rows.ends_us, times_us, plan.tolerances_us[modality])
    served = found >= 0
    used, position = np.unique(found[served], return_inverse=True)
    pointers[served] = matrix.n_rows + position
    matrix.append(rows.vectors[used])
    if matrix.n_rows > np.iinfo(np.int32).max:
        raise TrainingError(f"more than {np.iinfo(np.int32).max} {modality} rows don't fit the index")
    return pointers


def _write_labels(plan: PackPlan, path: Path, rows: int = 1 << 18) -> None:
    columns: list[Any] = list(plan.targets.names)
    with NpyWriter(path, (len(columns),), np.float32) as labels:
        for start in range(0, len(plan.frames), rows):
            labels.append(plan.frames[columns].iloc[start : start + rows].to_numpy(np.float32))
