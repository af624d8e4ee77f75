"""Nodes that plan, train, score and tabulate the ablation; what the tables say is in docs/results.md."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mgn_ma.eev.correlation import ConstantPolicy
from mgn_ma.eev.frames import Split
from mgn_ma.eev.targets import Targets
from mgn_ma.evaluation.ablation.config import AblationConfig
from mgn_ma.evaluation.ablation.plan import AblationPlan, log_estimate, make_plan
from mgn_ma.evaluation.ablation.tables import VariantScores, list_runs, make_table
from mgn_ma.evaluation.ensembling import EnsemblingConfig
from mgn_ma.evaluation.scoring import EvaluationConfig
from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.plan import ExtractionSettings
from mgn_ma.features.settings import Modalities
from mgn_ma.features.view import TrackView
from mgn_ma.pipelines.model_input.nodes import pack_split
from mgn_ma.pipelines.video_features.nodes import choose_tracks, train_video_level
from mgn_ma.reporting.ablation import ablation_figure, ablation_markdown
from mgn_ma.reporting.figures_page import figures_page
from mgn_ma.training.checkpoints import Checkpoint
from mgn_ma.training.config import EnsembleConfig, ModelConfig, TrainingConfig, VideoLevelSettings, ZeroRows
from mgn_ma.training.current import require_current, require_trained_on
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.states import StateStore
from mgn_ma.training.video_tracks import vector_tracks


def embed_videos_by_seed(
    labels_train: pd.DataFrame,
    labels_validation: pd.DataFrame,
    extraction_account: pd.DataFrame,
    modalities: Modalities,
    video_level: VideoLevelSettings,
    all_zero_rows: ZeroRows,
    targets: Targets,
    ablation: AblationConfig,
    tracker: Any,
    training_states: StateStore,
    *tracks: TrackView,
) -> pd.DataFrame:
    """Vectors of all videos, by video-level networks that are trained with every seed of the ablation.

    Seed s is that of ``video_level`` and s more, so that the networks of the first are the chain's, which are there.
    """
    from mgn_ma.training.video_tracks import VECTOR_COLUMNS, vectors_of_kinds

    tables = [pd.DataFrame(columns=list(VECTOR_COLUMNS))]
    for seed in ablation.seed_numbers:
        settings = video_level.model_copy(update={"seed": video_level.seed + seed})
        given = (modalities, settings, all_zero_rows, targets, tracker, training_states)
        networks, _ = train_video_level(labels_train, labels_validation, extraction_account, *given, *tracks)
        if networks:
            tables.append(vectors_of_kinds(networks, settings, choose_tracks(settings, tracks), seed))
    return pd.concat(tables, ignore_index=True)


def pack_variants(split: Split) -> Callable[..., PackedSplit]:
    """The node function that packs ``split`` with the video vectors of all seeds and kinds."""
    pack_tracks = pack_split(split)

    def pack(
        labels: pd.DataFrame,
        annotations_digest: str | None,
        data_fingerprint: dict[str, Any],
        manifest: pd.DataFrame,
        account: pd.DataFrame,
        targets: Targets,
        modalities: Modalities,
        extraction: ExtractionSettings,
        folder: str,
        video_vectors: pd.DataFrame,
        *tracks: TrackView,
    ) -> PackedSplit:
        given = (data_fingerprint, manifest, account, targets, modalities, extraction, folder)
        return pack_tracks(labels, annotations_digest, *given, *tracks, *vector_tracks(video_vectors))

    return pack


def plan_ablation(
    train_input: PackedSplit,
    validation_input: PackedSplit,
    ablation: AblationConfig,
    model: ModelConfig,
    training: TrainingConfig,
    ensemble_members: EnsembleConfig,
    constant: ConstantPolicy,
    training_execution: ExecutionConfig,
    training_states: StateStore,
    data_fingerprint: dict[str, str],
    modalities: Modalities,
) -> AblationPlan:
    """Find the networks that the tables need, and say how many of them are trained already.

    Raises:
        TrainingError: a split was packed from other data than there are now.
    """
    require_current([train_input, validation_input], data_fingerprint, modalities, pipeline="ablation")
    plan = make_plan(ablation, model, training, ensemble_members, train_input, constant)
    log_estimate(plan, train_input, validation_input, training_states, training_execution.workers)
    return plan


def train_variants(
    plan: AblationPlan,
    train_input: PackedSplit,
    validation_input: PackedSplit,
    training_execution: ExecutionConfig,
    tracker: Any,
    training_states: StateStore,
) -> tuple[dict[str, Checkpoint], pd.DataFrame]:
    """Train what is left: the networks by the names of their runs, and their learning curves."""
    from mgn_ma.training.members import learning_curves, train_members

    trained = train_members(
        plan.jobs,
        train_input,
        validation_input,
        execution=training_execution,
        tracker=tracker,
        states=training_states,
    )
    return {name: network.checkpoint for name, network in trained.items()}, learning_curves(trained)


def score_ablation(
    plan: AblationPlan,
    networks: dict[str, Checkpoint],
    train_input: PackedSplit,
    validation_input: PackedSplit,
    holdout_input: PackedSplit,
    test_input: PackedSplit,
    labels_validation: pd.DataFrame,
    labels_holdout: pd.DataFrame,
    truth_validation: pd.DataFrame | None,
    truth_test: pd.DataFrame | None,
    truth_test_labels: pd.DataFrame | None,
    training: TrainingConfig,
    evaluation: EvaluationConfig,
    ensembling: EnsemblingConfig,
    data_fingerprint: dict[str, str],
    modalities: Modalities,
) -> pd.DataFrame:
    """Every variant's and seed's score of every video: of validation, of the hold-out, and of a test with known labels.

    Raises:
        TrainingError: a split was packed from other data than there are now, or a network was trained on another.
    """
    from mgn_ma.evaluation.ablation.scores import LabelledSplit, score_variants

    packed = [train_input, validation_input, holdout_input, test_input]
    require_current(packed, data_fingerprint, modalities, pipeline="ablation")
    require_trained_on(networks, [train_input, validation_input], pipeline="ablation")
    splits = [LabelledSplit(validation_input, labels_validation, truth_validation)]
    if holdout_input.n_frames:
        splits.append(LabelledSplit(holdout_input, labels_holdout, truth_validation))
    if truth_test_labels is not None:
        splits.append(LabelledSplit(test_input, truth_test_labels, truth_test))
    return score_variants(plan, networks, splits, training=training, evaluation=evaluation, ensembling=ensembling)


def tabulate_ablation(
    ablation_scores: pd.DataFrame, ablation: AblationConfig, evaluation: EvaluationConfig
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The paper's table 1, its table 2, and all other tables in one."""
    scores = VariantScores.from_table(ablation_scores)
    made = [make_table(name, rows, scores, evaluation.bootstrap) for name, rows in ablation.tables.items()]
    table_1, table_2, *other = made
    return table_1, table_2, pd.concat(other, ignore_index=True) if other else table_2.iloc[:0]


def list_ablation_runs(
    plan: AblationPlan, ablation_scores: pd.DataFrame, ablation_learning_curves: pd.DataFrame
) -> pd.DataFrame:
    """What each variant and seed cost and scored."""
    return list_runs(plan, VariantScores.from_table(ablation_scores), ablation_learning_curves)


def draw_ablation(table_1: pd.DataFrame, table_2: pd.DataFrame, other: pd.DataFrame) -> tuple[go.Figure, str]:
    """All tables as one figure, and the same as a page of its own."""
    figure = ablation_figure(pd.concat([table_1, table_2, other], ignore_index=True))
    return figure, figures_page({"ablation": figure}, "MGN-MA: ablation")


def write_ablation(table_1: pd.DataFrame, table_2: pd.DataFrame, other: pd.DataFrame) -> str:
    """All tables as Markdown."""
    return ablation_markdown(pd.concat([table_1, table_2, other], ignore_index=True))
