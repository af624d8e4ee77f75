"""Which networks an ablation needs: each is trained once, however many rows it stands in."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mgn_ma.eev.correlation import ConstantPolicy
from mgn_ma.evaluation.ablation.config import AblationConfig
from mgn_ma.evaluation.errors import EvaluationError
from mgn_ma.evaluation.reaction import ReactionMethod
from mgn_ma.execution.progress import duration
from mgn_ma.models.config import MGNMAConfig
from mgn_ma.training.config import EnsembleConfig, ModelConfig, TrainingConfig, changed
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.states import StateStore
from mgn_ma.training.video_tracks import read_with_seed

if TYPE_CHECKING:
    from mgn_ma.training.member import MemberJob

logger = logging.getLogger(__name__)

SEED_STRIDE = 1000
"""Between the members of one ensemble; seeds are less, so that no two ensembles share a network."""

Trained = tuple[str, int]
"""A variant and a seed."""


@dataclass(frozen=True)
class AblationPlan:
    """What is trained, and whose it is.

    Attributes:
        jobs: the networks, no two alike.
        networks: for every variant and seed the names of its jobs: one, or an ensemble's members.
        reactions: by variant, where it says what makes reactions of its curves.
        reversed_time: the variants whose networks predict videos that run backwards.
    """

    jobs: tuple[MemberJob, ...]
    networks: Mapping[Trained, tuple[str, ...]]
    reactions: Mapping[str, ReactionMethod] = field(default_factory=dict)
    reversed_time: frozenset[str] = frozenset()


def make_plan(
    config: AblationConfig,
    model: ModelConfig,
    training: TrainingConfig,
    ensemble: EnsembleConfig,
    train: PackedSplit,
    constant: ConstantPolicy = "left_out",
) -> AblationPlan:
    """Find the networks of all variants and seeds.

    An ensemble has as many members as the chain's, of the same variants: the first has the seed of the row, and is the
    single network where members differ in their seeds only; the further ones no other ensemble has. All of a seed read
    the video-level vectors of that seed.

    Raises:
        EvaluationError: a variant's changes don't make a network or a training; the message names the variant.
    """
    from mgn_ma.training.member import MemberJob

    jobs: dict[str, MemberJob] = {}
    networks: dict[Trained, tuple[str, ...]] = {}
    for name, variant in config.wanted.items():
        members = ensemble if variant.ensemble_of else EnsembleConfig(count=1)
        prefix = name if members.variants else variant.ensemble_of or name
        for seed in config.seed_numbers:
            names = []
            settings = _settings(name, config, members, model, training, train, seed)
            for number, (architecture, trained_by) in enumerate(settings):
                member_seed = seed + SEED_STRIDE * number
                job = MemberJob(
                    name=f"{prefix}_seed_{member_seed}",
                    architecture=architecture,
                    config=trained_by,
                    seed=member_seed,
                    constant=constant,
                )
                if variant.control == "shuffled_labels":
                    job = job.on_shuffled_labels(job.name)
                names.append(jobs.setdefault(job.model_dump_json(exclude={"name"}), job).name)
            networks[name, seed] = tuple(names)
    reactions = {name: each.reaction for name, each in config.wanted.items() if each.reaction is not None}
    backwards = frozenset(name for name, each in config.wanted.items() if each.control == "reversed_time")
    return AblationPlan(tuple(jobs.values()), networks, reactions, backwards)


def _settings(
    name: str,
    config: AblationConfig,
    members: EnsembleConfig,
    model: ModelConfig,
    training: TrainingConfig,
    train: PackedSplit,
    seed: int,
) -> list[tuple[MGNMAConfig, TrainingConfig]]:
    """What a variant makes of the members' networks, which read the vectors of their seed, and of their training."""
    packed = read_with_seed(train.widths, seed)
    widths = {named: train.widths[as_packed] for named, as_packed in packed.items()}
    variant = config.variants[config.variants[name].ensemble_of or name]
    try:
        of_all = changed(model, variant.model), changed(training, config.training, variant.training)
        of_members = [members.settings_of(number, *of_all) for number in range(members.count)]
        n_targets = len(train.targets.names)
        return [(_as_packed(of_one.sized(widths, n_targets), packed), trained_by) for of_one, trained_by in of_members]
    except (ValueError, TrainingError) as error:
        raise EvaluationError(f"ablation.variants.{name}: {error}") from error


def _as_packed(architecture: MGNMAConfig, packed: Mapping[str, str]) -> MGNMAConfig:
    """The same with its modalities called as they are packed."""
    widths = {packed[name]: width for name, width in architecture.modalities.items()}
    return architecture.model_copy(update={"modalities": widths})


def log_estimate(
    plan: AblationPlan, train: PackedSplit, validation: PackedSplit, states: StateStore, workers: int
) -> None:
    """Log how many networks are to be trained, how many are kept, and how long it may take.

    The time is known once a network of the ablation has been trained on these data: it is that of its epochs.
    """
    kept, seconds, epochs_left = 0, [], 0
    for job in plan.jobs:
        fingerprint = job.resolved(train, validation, states).fingerprint(train, validation)
        state = states.load(job.name, fingerprint)
        seconds += [metrics["seconds"] for metrics in state.history] if state is not None else []
        if state is not None and state.finished:
            kept += 1
        else:
            epochs_left += job.config.epochs - (state.epochs_done if state is not None else 0)
    variants, seeds = (len(set(some)) for some in zip(*plan.networks, strict=True))
    logger.info(
        "Ablation: %d networks for %d variants x %d seeds; %d kept from before, %d to train",
        *(len(plan.jobs), variants, seeds, kept, len(plan.jobs) - kept),
    )
    if epochs_left and seconds:
        left = epochs_left * sum(seconds) / len(seconds) / workers
        logger.info("Ablation: about %s of training, by the epochs that were trained before", duration(left))
