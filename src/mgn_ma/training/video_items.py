"""The input of the video-level network (section 2.1.3): 80 uniformly chosen frames and audio patches, and the title."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from mgn_ma.eev.correlation import frames_to_offsets
from mgn_ma.eev.frames import expression_matrix
from mgn_ma.eev.targets import Targets
from mgn_ma.models.video_level import VideoBatch
from mgn_ma.training.config import ZeroRows
from mgn_ma.training.packing import Tracks

Halves = npt.NDArray[np.float16]
Vectors = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class VideoItems:
    """What the network sees of V videos; in memory, 0.8 GB for EEV at the paper's widths.

    Attributes:
        items: by pooled modality, (V, T, D) float16, zeros where padded.
        masks: by pooled modality, (V, T) bool.
        vectors: by modality of one vector a video, (V, D) float16.
        present: by modality of one vector a video, (V,) bool.
    """

    video_ids: tuple[str, ...]
    items: dict[str, Halves]
    masks: dict[str, npt.NDArray[np.bool_]]
    vectors: dict[str, Halves]
    present: dict[str, npt.NDArray[np.bool_]]

    def batch(self, rows: npt.NDArray[np.int64], device: torch.device) -> VideoBatch:
        """The videos at ``rows`` on a device."""

        def take(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Tensor]:
            return {name: torch.from_numpy(array[rows]).to(device) for name, array in arrays.items()}

        return VideoBatch(take(self.items), take(self.masks), take(self.vectors), take(self.present))

    def rows(self, video_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Where these videos are."""
        numbers = {video_id: row for row, video_id in enumerate(self.video_ids)}
        return np.array([numbers[video_id] for video_id in video_ids], dtype=np.int64)


def uniform_rows(n_rows: int, n_items: int) -> npt.NDArray[np.int64]:
    """Uniformly chosen rows of a track: the middles of ``n_items`` equal parts, or all if there are fewer."""
    if n_rows <= n_items:
        return np.arange(n_rows)
    return ((np.arange(n_items) + 0.5) * n_rows / n_items).astype(np.int64)


def collect(video_ids: Sequence[str], tracks: Mapping[str, Tracks], pooled: Sequence[str], n_items: int) -> VideoItems:
    """Read what the network needs of every video; a video without a track of a modality has it absent.

    Args:
        video_ids: V videos, in the order wanted.
        tracks: by modality; those that are not ``pooled`` have one vector a video.
        pooled: modalities of which up to ``n_items`` vectors a video are read.
        n_items: T.
    """

    def read(name: str, video_id: str) -> Vectors | None:
        return tracks[name].read(video_id).rows.vectors if video_id in tracks[name].headers else None

    widths = {name: some.width for name, some in tracks.items()}
    return collect_vectors(video_ids, read, widths, pooled, n_items)


def collect_vectors(
    video_ids: Sequence[str],
    read: Callable[[str, str], Vectors | None],
    widths: Mapping[str, int],
    pooled: Sequence[str],
    n_items: int,
) -> VideoItems:
    """The same of vectors that need not be kept as tracks.

    Args:
        video_ids: V videos, in the order wanted.
        read: given modality and video, its vectors (N, D), or ``None`` where there are none.
        widths: D by modality.
        pooled: modalities of which up to ``n_items`` vectors a video are taken; of others it is one.
        n_items: T.
    """
    items, masks, vectors, present = {}, {}, {}, {}
    for name, width in widths.items():
        n_rows = n_items if name in pooled else 1
        chosen_rows = np.zeros((len(video_ids), n_rows, width), dtype=np.float16)
        mask = np.zeros((len(video_ids), n_rows), dtype=np.bool_)
        for number, video_id in enumerate(video_ids):
            found = read(name, video_id)
            if found is not None:
                chosen = uniform_rows(len(found), n_rows)
                chosen_rows[number, : len(chosen)] = found[chosen]
                mask[number, : len(chosen)] = True
        if name in pooled:
            items[name], masks[name] = chosen_rows, mask
        else:
            vectors[name], present[name] = chosen_rows[:, 0], mask[:, 0]
    return VideoItems(tuple(video_ids), items, masks, vectors, present)


def video_means(
    labels: pd.DataFrame, targets: Targets, all_zero_rows: ZeroRows
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Mean of each video's labels, and the videos that have one: ids (V), means (V, C).

    Frames without a face are left out of the mean unless they are ``kept``; a video that has no other rows has no mean.
    """
    video_ids, offsets = frames_to_offsets(labels["video_id"])
    values = expression_matrix(labels, targets.names).astype(np.float32, copy=False)
    counted = targets.labelled(values.T) | np.full(len(values), all_zero_rows == "kept")
    sums = np.add.reduceat(np.where(counted[:, None], values, 0.0), offsets[:-1], axis=0, dtype=np.float64)
    counts = np.add.reduceat(counted.astype(np.int64), offsets[:-1])
    has_mean = counts > 0
    means = (sums[has_mean] / counts[has_mean, None]).astype(np.float32)
    return [video_id for video_id, has in zip(video_ids, has_mean.tolist(), strict=True) if has], means


def sources_digest(video_id: str, tracks: Mapping[str, Tracks]) -> str:
    """Hex digest of the files that what the network sees of a video was made from."""
    sources = [
        (name, tracks[name].headers[video_id].source_digest) for name in tracks if video_id in tracks[name].headers
    ]
    return hashlib.sha256(repr(sources).encode()).hexdigest()
