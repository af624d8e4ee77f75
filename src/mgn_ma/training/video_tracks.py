"""Video-level vectors of an ablation: of every kind and seed, a modality each that is packed and is no track on disk.

A variant names a kind, as it names a modality; its network of seed s reads the vectors of that kind that video-level
networks of seed s made. So trainings of a variant differ in all that chance decides. Torch is imported with networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.extractors.base import Clock, TrackRows
from mgn_ma.features.track import Track, TrackHeader
from mgn_ma.modalities import VIDEO
from mgn_ma.training.checkpoints import Checkpoint, networks_fingerprint
from mgn_ma.training.config import VideoLevelSettings
from mgn_ma.training.packing import Tracks

IN_SAMPLE = f"{VIDEO.name}_in_sample"
"""Every vector is of the network that saw all training videos: the paper's way."""
UNALIGNED = f"{VIDEO.name}_unaligned"
"""K-fold vectors as each network gives them, in a space of its own."""

_SEED = "_seed_"
VECTOR_COLUMNS = ("video_id", "source_digest", "vector", "modality", "fingerprint")


@dataclass(frozen=True)
class VectorTracks:
    """The vectors of one modality as packing reads tracks: one row a video, which holds for all time.

    Attributes:
        headers: by video.
        vectors: (D,) by video.
    """

    modality: str
    headers: Mapping[str, TrackHeader]
    vectors: Mapping[str, npt.NDArray[np.float32]]
    clock: Clock = "whole"

    @property
    def width(self) -> int:
        """Length of a vector."""
        return len(next(iter(self.vectors.values())))

    @property
    def fingerprint(self) -> str:
        """Of the networks."""
        return next(iter(self.headers.values())).fingerprint

    def read(self, video_id: str) -> Track:
        """The track of a video that has one."""
        return Track(self.headers[video_id], TrackRows.from_vector(self.vectors[video_id]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.headers)

    def __len__(self) -> int:
        return len(self.headers)


def vectors_of_kinds(
    networks: Mapping[str, Checkpoint], settings: VideoLevelSettings, tracks: Mapping[str, Tracks], seed: int
) -> pd.DataFrame:
    """The vectors of all videos, of every kind, by the networks of one seed.

    Returns:
        `VECTOR_COLUMNS`: the fingerprint is of the networks, the vector (D,) float32.
    """
    from mgn_ma.training.video_items import collect, sources_digest
    from mgn_ma.training.video_level import FULL, video_vectors

    video_ids = list(dict.fromkeys(video_id for some in tracks.values() for video_id in some.headers))
    items = collect(video_ids, tracks, settings.pooled, settings.items)
    kinds = {
        VIDEO.name: networks,
        IN_SAMPLE: {FULL: networks[FULL]},
        UNALIGNED: {name: unmoved(network) for name, network in networks.items()},
    }
    tables = []
    for kind, used in kinds.items():
        rows = [(video_id, sources_digest(video_id, tracks), v) for video_id, v in video_vectors(used, items, settings)]
        table = pd.DataFrame(rows, columns=["video_id", "source_digest", "vector"])
        tables.append(table.assign(modality=f"{kind}{_SEED}{seed}", fingerprint=networks_fingerprint(used)))
    return pd.concat(tables, ignore_index=True)


def unmoved(network: Checkpoint) -> Checkpoint:
    """A video-level network whose vectors stay in its own space."""
    import torch

    rotation, shift = network.weights["rotation"], network.weights["shift"]
    own_space = {"rotation": torch.eye(len(rotation)), "shift": torch.zeros_like(shift)}
    return Checkpoint(network.description, {**network.weights, **own_space})


def vector_tracks(vectors: pd.DataFrame) -> list[VectorTracks]:
    """The modalities of a table of `vectors_of_kinds`, of any number of seeds."""
    found = []
    for modality, rows in vectors.groupby("modality", sort=False):
        ids, name = rows["video_id"].tolist(), str(modality)
        made_from = zip(ids, rows["fingerprint"].tolist(), rows["source_digest"].tolist(), strict=True)
        headers = {v: TrackHeader(v, name, "whole", networks, sources) for v, networks, sources in made_from}
        found.append(VectorTracks(name, headers, dict(zip(ids, rows["vector"].tolist(), strict=True))))
    return found


def read_with_seed(modalities: Iterable[str], seed: int) -> dict[str, str]:
    """What a network of a seed may read of packed modalities: as variants name it -> as it is packed."""
    found = {}
    for packed in modalities:
        named, _, of_seed = packed.partition(_SEED)
        if of_seed in ("", str(seed)):
            found[named] = packed
    return found
