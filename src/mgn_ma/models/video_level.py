"""The video-level expression network (section 2.1.3): 80 frames, 80 audio patches and the title to one 1024-D vector.

Frames and audio each go through a NetVLAD of their own; the modal attention fusion merges both with the title; the last
hidden layer is the video-level feature, learnt by predicting the mean of the video's labels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor, nn

from mgn_ma.models.config import Normalisation, VideoLevelConfig
from mgn_ma.models.layers import ContextGating, HiddenLayer
from mgn_ma.models.mixture_of_experts import MixtureOfExperts
from mgn_ma.models.modal_attention import ModalFusion
from mgn_ma.models.netvlad import NetVLAD
from mgn_ma.models.normalisation import make_normalisation


class VideoBatch(NamedTuple):
    """What the network sees of B videos.

    Attributes:
        items: by modality, (B, T, D) frames or patches, padded to a common T.
        masks: by modality, (B, T) bool, true for items that are not padding; none true where the modality is absent.
        vectors: by modality, (B, D).
        present: by modality of ``vectors``, (B,) bool.
    """

    items: dict[str, Tensor]
    masks: dict[str, Tensor]
    vectors: dict[str, Tensor]
    present: dict[str, Tensor]


class Tower(nn.Module):
    """One pooled modality: normalised items, NetVLAD, and a projection to the tower's width."""

    def __init__(self, width: int, clusters: int, tower_width: int, normalisation: Normalisation) -> None:
        super().__init__()
        self.normalise = make_normalisation(normalisation, width)
        self.pool = NetVLAD(width, clusters)
        self.project = nn.Linear(self.pool.num_features, tower_width, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool ``x`` (B, T, D) under ``mask`` (B, T) into (B, W)."""
        pooled = self.pool(self.normalise(x.float(), mask), mask)  # (B, K D)
        projected: Tensor = self.project(pooled)  # (B, W)
        return projected


class VideoLevelNetwork(nn.Module):
    """Predicts a video's mean expressions; its last hidden layer is the video-level feature.

    Attributes:
        num_features: length of the video-level feature.
        rotation: (H, H) and ``shift`` (H,), see `set_motion`; they are no part of what is trained.
    """

    rotation: Tensor
    shift: Tensor

    def __init__(self, config: VideoLevelConfig) -> None:
        super().__init__()
        self.config = config
        self.num_features = config.hidden
        self.towers = nn.ModuleDict(
            {
                name: Tower(width, config.clusters.get(name, 64), config.tower_width, config.normalisation)
                for name, width in config.items.items()
            }
        )
        self.fusion = ModalFusion([config.tower_width] * len(config.items) + list(config.vectors.values()), config)
        self.hidden = HiddenLayer(self.fusion.num_features, config.hidden)
        self.gating = ContextGating(config.hidden) if config.context_gating else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.head = MixtureOfExperts(config.hidden, config.classes, config)
        self.register_buffer("rotation", torch.eye(config.hidden))
        self.register_buffer("shift", torch.zeros(config.hidden))

    def set_motion(self, rotation: npt.NDArray[Any], shift: npt.NDArray[Any]) -> None:
        """Turn and shift the vectors that are given out, (H, H) and (H,), into the space of another network's."""
        self.rotation.copy_(torch.from_numpy(rotation))
        self.shift.copy_(torch.from_numpy(shift))

    def forward_vectors(self, batch: VideoBatch) -> Tensor:
        """The video-level feature (B, H) in the space that all networks share, not negative, as hidden layers are."""
        moved = self.forward_features(batch) @ self.rotation + self.shift  # (B, H)
        return moved.relu()

    def forward_features(self, batch: VideoBatch) -> Tensor:
        """The last hidden layer (B, H) of each video."""
        vectors = [tower(batch.items[name], batch.masks[name]) for name, tower in self.towers.items()]
        vectors += [batch.vectors[name] for name in self.config.vectors]  # M x (B, D_m)
        present = [batch.masks[name].any(dim=1) for name in self.config.items]
        present += [batch.present[name] for name in self.config.vectors]  # M x (B,)
        fused, _ = self.fusion(vectors, torch.stack(present, dim=1))  # (B, sum D_m)
        features: Tensor = self.gating(self.hidden(fused))  # (B, H)
        return features

    def forward_head(self, features: Tensor) -> Tensor:
        """Log-odds (B, C) of the mean expressions of videos with ``features`` (B, H)."""
        logits: Tensor = self.head(self.dropout(features))  # (B, C)
        return logits

    def forward(self, batch: VideoBatch) -> Tensor:
        """Log-odds (B, C) of the mean expressions of each video."""
        return self.forward_head(self.forward_features(batch))  # (B, C)
