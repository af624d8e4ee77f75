"""What both networks can be, without torch: parameters are checked before anything is trained or even loaded."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mgn_ma.configuration import Configuration
from mgn_ma.grid import RATE_HZ

Normalisation = Literal["batch_norm", "layer_norm", "none"]
Reading = Literal["logits", "probabilities"]
TemporalKind = Literal["none", "fir", "tcn", "gru", "transformer"]


class TemporalConfig(Configuration):
    """How a network sees more than one moment; the paper's sees one. Steps are those of the 6 Hz grid.

    Attributes:
        kind: ``fir``, a weighted average of each expression's log-odds over ``span_s``; ``tcn``, dilated convolutions;
            ``gru``, bidirectional unless causal; ``transformer``, attention with relative time; or ``none``.
        causal: see the past alone.
        window_s: how long the ranges of a video are that are trained on as one; ``None``: whole videos. What ``gru``
            and ``transformer`` predict with is as long.
        overlap_s: how much of such a window is context, whose predictions are taken from its neighbours.
        width: of the vectors that ``tcn``, ``gru`` and ``transformer`` work on.
        layers: of ``gru`` and ``transformer``; stacks of all dilations of ``tcn``.
        dropout: of units between those layers.
        seconds: whether the time since the video's beginning is an input.
        rate_hz: at how many steps a second ``gru`` and ``transformer`` work: means go in, and what comes out is
            interpolated.
        levels: dilations of a stack, 1, 2, 4, …; ``tcn`` only.
        kernel: taps of a convolution; ``tcn`` only.
        heads: ``transformer`` only.
        span_s: ``fir`` only.
    """

    kind: TemporalKind = "none"
    causal: bool = False
    window_s: float | None = Field(default=20.0, ge=1.0)
    overlap_s: float = Field(default=8.0, ge=0.0)
    width: int = Field(default=128, ge=1)
    layers: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    seconds: bool = False
    rate_hz: Literal[1, 2, 3, 6] = 6
    levels: int = Field(default=4, ge=1, le=12)
    kernel: int = Field(default=3, ge=2)
    heads: int = Field(default=4, ge=1)
    span_s: float = Field(default=8.0, gt=0.0)

    @property
    def window_steps(self) -> int | None:
        """Steps that are trained on as one; ``None``: all of a video."""
        return None if self.window_s is None else round(self.window_s * RATE_HZ)

    @property
    def context_steps(self) -> tuple[int, int]:
        """How many steps before and after a moment a prediction is made from, at most."""
        if self.kind == "none":
            return 0, 0
        if self.kind == "fir":
            context = round(self.span_s * RATE_HZ)
        elif self.kind == "tcn":
            context = 2 * self.layers * (self.kernel - 1) * (2**self.levels - 1)
        else:
            context = round(self.overlap_s * RATE_HZ)
        return (context, 0) if self.causal else (context // 2, context // 2)

    @property
    def stride_steps(self) -> int | None:
        """From one window's beginning to the next in prediction; ``None`` where any gives the same."""
        if self.kind in ("none", "fir", "tcn") or self.window_steps is None:
            return None
        return self.window_steps - sum(self.context_steps)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind in ("gru", "transformer"):
            if self.window_s is None:
                raise ValueError(f"a {self.kind} predicts in windows: give window_s, in seconds")
            if self.overlap_s > self.window_s / 2:
                raise ValueError("windows that overlap by more than half are nearly all context: lower overlap_s")
            if self.causal and self.rate_hz != RATE_HZ:
                raise ValueError(f"interpolation looks ahead: what is causal works at rate_hz {RATE_HZ}")
        elif self.rate_hz != RATE_HZ:
            raise ValueError(f"rate_hz is of gru and transformer; {self.kind} works at {RATE_HZ}")
        if self.kind == "tcn" and not self.causal and self.kernel % 2 == 0:
            raise ValueError(f"a centred kernel has an odd number of taps, not {self.kernel}")
        if self.kind == "transformer" and self.width % self.heads:
            raise ValueError(f"{self.heads} heads can't share a width of {self.width}")
        return self


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
        temporal: what stands between the hidden layer and the classifier, or behind it; the paper has none.
    """

    classifier: Literal["moe", "mlp"] = "moe"
    hidden: int = Field(default=1024, ge=1)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    input_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    context_gating: bool = False
    temporal: TemporalConfig = TemporalConfig()


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
