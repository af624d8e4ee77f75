"""What both networks can be, without torch: parameters are checked before anything is trained or even loaded."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mgn_ma.configuration import Configuration

Normalisation = Literal["batch_norm", "layer_norm", "none"]
Reading = Literal["logits", "probabilities"]


class FusionArchitecture(Configuration):
    """How vectors of several modalities become one (section 2.2).

    Attributes:
        attention_scores: what eq. 1 scores a modality by: its own vector (``w_i . v_i``), or the concatenation of all,
            which the text calls the module's input.
        attention_over: which modalities share eq. 1's softmax: those that are present, or all, where a dropped or
            absent one is a zero vector that keeps its share.
        normalisation: of each modality, before the fusion.
        modality_dropout: chance of each modality of each row to be replaced by zeros in training.
    """

    fusion: Literal["attention", "concatenation"] = "attention"
    attention_scores: Literal["vector", "concatenation"] = "vector"
    attention_over: Literal["present", "all"] = "present"
    normalisation: Normalisation = "batch_norm"
    modality_dropout: float = Field(default=0.1, ge=0.0, lt=1.0)


class ExpertsArchitecture(Configuration):
    """How a hidden vector becomes expressions (section 2.3).

    Attributes:
        experts: of each class.
        reading: what the gates mix, see `mgn_ma.models.mixture_of_experts`.
        gates: a softmax over the experts for each class, as in YouTube-8M, or one that all classes share.
        expert_batch_norm: normalise what goes into the sigmoids and softmaxes of the experts and their gates.
    """

    experts: int = Field(default=3, ge=1)
    reading: Reading = "logits"
    gates: Literal["per_class", "shared"] = "per_class"
    expert_batch_norm: bool = False


class MGNMAArchitecture(FusionArchitecture, ExpertsArchitecture):
    """What a network is, but for its input; defaults are the paper's, or the documented choice where it is silent.

    Attributes:
        hidden: the "dimension of the multi-modal feature" (section 3.2).
        dropout: of units of the hidden layer; the paper has none.
        input_dropout: of units of the fused vector; the paper has none.
    """

    classifier: Literal["moe", "mlp"] = "moe"
    hidden: int = Field(default=1024, ge=1)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    input_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    context_gating: bool = False


class MGNMAConfig(MGNMAArchitecture):
    """A network's architecture and input.

    Attributes:
        modalities: widths by name, in the order of the concatenation.
        classes: how many expressions it predicts.
    """

    modalities: dict[str, int] = Field(min_length=1)
    classes: int = Field(ge=1)


class VideoLevelArchitecture(FusionArchitecture, ExpertsArchitecture):
    """What the network is, but for its input; the defaults are the paper's, or YouTube-8M's where it is silent.

    Attributes:
        clusters: NetVLAD clusters of each pooled modality, by name; 64 where not named.
        tower_width: length that each NetVLAD's K x D vector is projected to before the fusion.
    """

    clusters: dict[str, int] = Field(default_factory=dict)
    tower_width: int = Field(default=1024, ge=1)
    hidden: int = Field(default=1024, ge=1)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    context_gating: bool = False


class VideoLevelConfig(VideoLevelArchitecture):
    """The network's architecture and input.

    Attributes:
        items: widths of the modalities that are pooled over time, by name.
        vectors: widths of the modalities that are one vector a video (the title), by name.
        classes: how many expressions it predicts.
    """

    items: dict[str, int] = Field(min_length=1)
    vectors: dict[str, int] = Field(default_factory=dict)
    classes: int = Field(ge=1)

    @property
    def modalities(self) -> tuple[str, ...]:
        """All modalities in the order of the fusion: the pooled ones, then the vectors."""
        return (*self.items, *self.vectors)
