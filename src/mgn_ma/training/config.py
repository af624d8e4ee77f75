"""What can be set of training; the defaults are the paper's (section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy.typing as npt
from pydantic import BaseModel, Field, model_validator

from mgn_ma.configuration import Configuration
from mgn_ma.extractors.pretrained import Precision
from mgn_ma.modalities import IN_MODEL, extracted
from mgn_ma.models.config import MGNMAArchitecture, MGNMAConfig, VideoLevelArchitecture, VideoLevelConfig
from mgn_ma.training.errors import TrainingError

ZeroRows = Literal["left_out", "kept", "dropped"]
"""Rows whose labels are all zero (no face was seen): left out of training and kept in evaluation, kept in both, or
dropped from both."""

Shuffle = Literal["full", "blocks"]

BASE = "base"
"""The ensemble of ``model`` and ``training`` as they are, beside its alternatives."""

_Config = TypeVar("_Config", bound=BaseModel)


class ModelConfig(MGNMAArchitecture):
    """The parameter ``model``: an architecture, and the names of the modalities that it reads.

    Attributes:
        modalities: in the order of the concatenation; their widths are those of the packed split. ``None``: all that
            the split has, in the order of `mgn_ma.modalities`.
    """

    modalities: tuple[str, ...] | None = Field(default=None, min_length=1)

    def sized(self, widths: Mapping[str, int], classes: int) -> MGNMAConfig:
        """The network for vectors of these ``widths`` and so many expressions.

        Raises:
            TrainingError: a modality has no width, because it was not packed.
        """
        names = self.modalities or [name for name in IN_MODEL if name in widths]
        missing = [name for name in names if name not in widths]
        if missing:
            raise TrainingError(f"the model reads the modality {missing[0]!r}, which is not among {', '.join(widths)}")
        settings = self.model_dump(exclude={"modalities"})
        return MGNMAConfig(modalities={name: widths[name] for name in names}, classes=classes, **settings)


class OptimisationConfig(Configuration):
    """How weights are learned, of either kind of network.

    Attributes:
        learning_rate: of Adam.
        weight_decay: decoupled from the gradient, as in AdamW; 0 is plain Adam, the paper's.
    """

    epochs: int = Field(default=30, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0.0)
    weight_decay: float = Field(default=0.0, ge=0.0)


class BatchConfig(Configuration):
    """How batches come; all but the first two decide speed and memory, and which random order it is.

    Attributes:
        batch_size: frames; where a network looks along time, a batch of windows has at least as many.
        least_windows: how many windows such a batch has at least, or whole videos where a loss is of them. Batch norm
            learns from few videos what isn't true of others.
        shuffle: ``full``, ``blocks`` (see `mgn_ma.training.order`), or ``auto``, see `resolve_shuffle`.
        page_cache_gib: how much memory may be counted on to cache files; ``None`` is half of what this process may use.
        prefetch: batches that wait ready.
        device_cache: keep the whole split on a CUDA device: ``on``, ``off``, or ``auto``, where it takes at most
            ``device_cache_share`` of the device's free memory. Without a CUDA device there is nothing to keep it on.
    """

    batch_size: int = Field(default=1536, ge=2)
    least_windows: int = Field(default=16, ge=1)
    shuffle: Shuffle | Literal["auto"] = "auto"
    block_frames: int = Field(default=8, ge=1)
    window_frames: int = Field(default=131_072, ge=1)
    page_cache_gib: float | None = Field(default=None, ge=0.0)
    prefetch: int = Field(default=3, ge=1)
    device_cache: Literal["auto", "on", "off"] = "auto"
    device_cache_share: float = Field(default=0.6, gt=0.0, le=1.0)


class LossConfig(Configuration):
    """What each loss counts in the sum that a member learns by; 0 leaves one out (`mgn_ma.training.losses`).

    Attributes:
        bce: eq. 3, the paper's.
        mse: squared errors of shares in 0..1; 100 is what labels times ten give.
        l1: their absolute errors.
        ccc: 1 - concordance correlation of a video's series.
        pearson: 1 - correlation of a video's series. It knows no level: alone, it leaves the curves without one.
    """

    bce: float = Field(default=1.0, ge=0.0)
    mse: float = Field(default=0.0, ge=0.0)
    l1: float = Field(default=0.0, ge=0.0)
    ccc: float = Field(default=0.0, ge=0.0)
    pearson: float = Field(default=0.0, ge=0.0)

    @property
    def of_series(self) -> bool:
        """Whether any loss is of a video's whole series."""
        return self.ccc > 0 or self.pearson > 0

    @model_validator(mode="after")
    def _any_counts(self) -> Self:
        if not any(self.model_dump().values()):
            raise ValueError("all losses count 0, so that nothing is learned")
        return self


class AveragingConfig(Configuration):
    """Whether the mean of the weights over training predicts, instead of the last ones.

    Attributes:
        kind: ``ema``, an exponential mean over steps; ``swa``, the mean over epochs' ends (Izmailov et al., "Averaging
            weights leads to wider optima and better generalization", 2018); or ``none``, the paper. Running statistics
            are averaged with the weights.
        decay: what the mean keeps of itself at each step, for ``ema``.
        from_epoch: the first one that counts.
    """

    kind: Literal["none", "ema", "swa"] = "none"
    decay: float = Field(default=0.999, gt=0.0, lt=1.0)
    from_epoch: int = Field(default=1, ge=1)


class TrainingConfig(OptimisationConfig):
    """The parameter ``training``: how one MGN-MA is trained.

    Attributes:
        loss: what it learns by.
        averaging: of the weights.
        precision: of the matrix products; weights, statistics and losses stay float32.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, …
        all_zero_rows: what becomes of frames without any face.
        weigh_equally: what counts the same in the loss: every frame (the paper), or every video, as in the score.
        expression_weights: what an expression counts in the loss beside the others, by name; 1 where not named.
        snapshot: keep the epoch with the best correlation on validation (the paper), or the last one.
        early_stopping: stop after so many epochs without a better correlation; ``None`` trains them all (the paper).
    """

    loss: LossConfig = LossConfig()
    averaging: AveragingConfig = AveragingConfig()
    batches: BatchConfig = BatchConfig()
    precision: Precision = "float32"
    device: str = "auto"
    all_zero_rows: ZeroRows = "left_out"
    weigh_equally: Literal["frames", "videos"] = "frames"
    expression_weights: dict[str, Annotated[float, Field(ge=0.0)]] = Field(default_factory=dict)
    snapshot: Literal["best", "last"] = "best"
    early_stopping: int | None = Field(default=None, ge=1)


class VideoLevelSettings(OptimisationConfig):
    """The parameter ``video_level``; the paper gives the 80 items and the 1024-D hidden layer, and no more.

    Attributes:
        pooled: modalities that are pooled over time by a NetVLAD each.
        single: modalities that are one vector a video.
        items: how many frames or patches of a video are pooled.
        fold_vectors: ``k_fold`` or ``in_sample``, see `mgn_ma.training.video_level`.
        folds: K.
        alignment: bring the folds' vectors into one space, or take them as they are.
        snapshot: keep the epoch with the best correlation with the validation videos' mean labels, or the last one.
    """

    pooled: tuple[str, ...] = extracted("frame")
    single: tuple[str, ...] = extracted("video")
    items: int = Field(default=80, ge=1)
    fold_vectors: Literal["k_fold", "in_sample"] = "k_fold"
    folds: int = Field(default=5, ge=2)
    alignment: Literal["rigid", "none"] = "rigid"
    snapshot: Literal["best", "last"] = "best"
    architecture: VideoLevelArchitecture = VideoLevelArchitecture()
    batch_size: int = Field(default=64, ge=2)
    seed: int = Field(default=0, ge=0)
    device: str = "auto"

    def sized(
        self, items: Mapping[str, npt.NDArray[Any]], vectors: Mapping[str, npt.NDArray[Any]], classes: int
    ) -> VideoLevelConfig:
        """The network for the widths of ``items`` (V, T, D) and ``vectors`` (V, D), by modality, and C expressions."""
        return VideoLevelConfig(
            items={name: array.shape[2] for name, array in items.items()},
            vectors={name: array.shape[1] for name, array in vectors.items()},
            classes=classes,
            **self.architecture.model_dump(),
        )


class NetworkChanges(Configuration):
    """What differs from the parameters ``model`` and ``training``; what isn't named here is as it is there.

    Attributes:
        model: changes of ``model``, such as ``{"hidden": 512}`` or ``{"temporal": {"kind": "gru"}}``.
        training: changes of ``training``.
    """

    model: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)


class EnsembleConfig(Configuration):
    """The parameter ``ensemble_members``: how many networks are trained, and what they differ in.

    Attributes:
        count: the paper has five.
        seed: of the first member; the others count up.
        variants: changes that the members take in turn; none in the default, where members differ in their seed only.
        alternatives: further ensembles, by name, of as many members with the same seeds: what all of their members
            differ in. The ensemble that scores best on validation is the one that predicts.
        shuffled_control: train one more on labels shuffled across videos, which must score about 0.
    """

    count: int = Field(default=5, ge=1)
    seed: int = Field(default=0, ge=0)
    variants: tuple[NetworkChanges, ...] = ()
    alternatives: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")], NetworkChanges] = Field(default_factory=dict)
    shuffled_control: bool = True

    @model_validator(mode="after")
    def _alternatives_have_names_of_their_own(self) -> Self:
        taken = {BASE, "member"} & set(self.alternatives)
        if taken:
            raise ValueError(f"alternatives can't be called {taken.pop()!r}: that is what `model` and `training` make")
        return self

    @property
    def ensembles(self) -> dict[str, list[str]]:
        """The names of the members of each ensemble: ``base``, then the alternatives."""
        numbers = range(1, self.count + 1)
        prefixes = {BASE: "member"} | {name: name for name in self.alternatives}
        return {name: [f"{prefix}_{number}" for number in numbers] for name, prefix in prefixes.items()}

    def settings_of(
        self, number: int, model: ModelConfig, training: TrainingConfig, ensemble: str = BASE
    ) -> tuple[ModelConfig, TrainingConfig]:
        """The model of the member ``number`` of an ensemble, and its training.

        Raises:
            TrainingError: the changes of its variant or alternative don't make them; the message says which.
        """
        changes: dict[str, NetworkChanges] = {}
        if self.variants:
            variant = number % len(self.variants)
            changes[f"variants[{variant}]"] = self.variants[variant]
        if ensemble != BASE:
            changes[f"alternatives.{ensemble}"] = self.alternatives[ensemble]
        for name, of_name in changes.items():
            try:
                model, training = changed(model, of_name.model), changed(training, of_name.training)
            except ValueError as error:
                raise TrainingError(f"ensemble_members.{name}: {error}") from error
        return model, training


def changed(config: _Config, *changes: Mapping[str, Any]) -> _Config:
    """``config`` with ``changes`` merged into it key by key, the later ones over the earlier, and validated anew."""
    values = config.model_dump()
    for change in changes:
        values = _merged(values, change)
    return type(config).model_validate(values)


def _merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: _merged(low[key], value) for key, value in high.items() if _are_mappings(low.get(key), value)}
    return {**low, **high, **both}


def _are_mappings(*values: object) -> bool:
    return all(isinstance(value, Mapping) for value in values)
