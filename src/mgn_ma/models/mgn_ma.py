"""MGN-MA (section 2, figure 2): the multi-granularity features of one frame to its expressions.

Named variants are configuration: attention or concatenation, mixture of experts or MLP, any subset of modalities, and
whether the moments around a frame count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mgn_ma.models.config import MGNMAConfig
from mgn_ma.models.layers import ContextGating, HiddenLayer
from mgn_ma.models.mixture_of_experts import MixtureOfExperts
from mgn_ma.models.modal_attention import ModalFusion
from mgn_ma.models.sequences import Sequences
from mgn_ma.models.temporal import FiniteFilter, TemporalPart


class MGNMAOutput(NamedTuple):
    """What the network says of B frames.

    Attributes:
        logits: (B, C) float32, log-odds of the expressions (``o`` of eq. 2).
        attention: (B, M) float32, eq. 1's weight of each modality, in the configuration's order.
    """

    logits: Tensor
    attention: Tensor

    @property
    def probabilities(self) -> Tensor:
        """Eq. 2, (B, C) in 0..1."""
        return self.logits.sigmoid()


class MGNMA(nn.Module):
    """Modal attention fusion, the hidden layer, what looks along time if anything does, and the classifier.

    Attributes:
        num_features: length of the hidden vector.
    """

    def __init__(self, config: MGNMAConfig) -> None:
        super().__init__()
        self.config = config
        self.num_features = config.hidden
        self.fusion = ModalFusion(list(config.modalities.values()), config)
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.hidden = HiddenLayer(self.fusion.num_features, config.hidden, dropout=config.dropout)
        self.gating = ContextGating(config.hidden) if config.context_gating else nn.Identity()
        self.head: nn.Module
        if config.classifier == "moe":
            self.head = MixtureOfExperts(config.hidden, config.classes, config)
        else:
            # With the hidden layer before it, this is the MLP of table 2.
            self.head = nn.Linear(config.hidden, config.classes)
        kind = config.temporal.kind
        self.temporal = None if kind in ("none", "fir") else TemporalPart(config.temporal, config.hidden)
        self.filter = FiniteFilter(config.temporal, config.classes) if kind == "fir" else None

    def stacked(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> tuple[list[Tensor], Tensor]:
        """Vectors, M x (B, D_m), and which are present, (B, M), in the configuration's order; see `forward`."""
        vectors = [features[name] for name in self.config.modalities]  # M x (B, D_m)
        if present is None:
            return vectors, torch.ones(len(vectors[0]), len(vectors), dtype=torch.bool, device=vectors[0].device)
        return vectors, torch.stack([present[name] for name in self.config.modalities], dim=1)

    def forward_features(
        self,
        features: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None = None,
        sequences: Sequences | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The hidden vector (B, H) and the attention weights (B, M); arguments as of `forward`."""
        vectors, mask = self.stacked(features, present)
        fused, attention = self.fusion(vectors, mask, sequences)  # (B, sum D_m), (B, M)
        return self.hidden(self.input_dropout(fused)), attention

    def forward_head(self, hidden: Tensor, sequences: Sequences | None = None) -> Tensor:
        """Logits (B, C) of the ``hidden`` vector (B, H); ``sequences`` as of `forward`."""
        hidden = self.gating(hidden)  # (B, H)
        if self.temporal is not None:
            hidden = self.temporal(hidden, sequences)  # (B, H)
        logits: Tensor = self.head(hidden).float()  # (B, C)
        return logits if self.filter is None else self.filter(logits, sequences)

    def forward(
        self,
        features: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None = None,
        sequences: Sequences | None = None,
    ) -> MGNMAOutput:
        """Predict the expressions of B frames.

        Args:
            features: by modality, (B, D_m) of any float type; rows that are not present may hold anything finite.
            present: by modality, (B,) bool; all are present where not given. More modalities than the
                configuration's may be given.
            sequences: where the B frames stand in their videos; only a network that looks along time needs it.

        Raises:
            KeyError: a modality of the configuration is not given.
            ValueError: ``sequences`` are needed and not given.
        """
        if self.config.temporal.kind == "none":
            sequences = None
        elif sequences is None:
            raise ValueError(
                f"a network with a {self.config.temporal.kind} has to know which frames follow one another"
            )
        hidden, attention = self.forward_features(features, present, sequences)
        return MGNMAOutput(self.forward_head(hidden, sequences), attention)
