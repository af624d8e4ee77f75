"""tracks -> video vectors of every seed and kind -> packed splits -> plan -> networks -> scores -> tables, figure.

Not part of the default chain: it stands behind ``video_features``, whose networks are those of its first seed, and
trains every variant with every seed.
"""

from kedro.pipeline import Node, Pipeline

from mgn_ma.eev.frames import SPLITS, annotated_as
from mgn_ma.modalities import EXTRACTED
from mgn_ma.pipelines.video_features.pipeline import TRACKS as VIDEO_LEVEL_TRACKS

from .nodes import (
    draw_ablation,
    embed_videos_by_seed,
    list_ablation_runs,
    pack_variants,
    plan_ablation,
    score_ablation,
    tabulate_ablation,
    train_variants,
    write_ablation,
)

TRACKS = [f"{name}.tracks" for name in EXTRACTED]
INPUTS = ["ablation_train_input", "ablation_validation_input"]
TABLES = ["ablation_table_1", "ablation_table_2", "ablation_other"]


def create_pipeline() -> Pipeline:
    """The packed splits of the ablation, then its networks and tables."""
    return Pipeline([*_input_nodes(), *_network_nodes(), *_table_nodes()])


def _input_nodes() -> list[Node]:
    embed = Node(
        embed_videos_by_seed,
        [
            "labels_train",
            "labels_validation",
            "extraction_account",
            "params:modalities",
            "params:video_level",
            "params:training.all_zero_rows",
            "params:targets",
            "params:ablation",
            "tracker",
            "training_states",
            *VIDEO_LEVEL_TRACKS,
        ],
        "ablation_video_vectors",
        name="embed_videos_by_seed",
    )
    given = [
        "data_fingerprint",
        "manifest",
        "extraction_account",
        "params:targets",
        "params:modalities",
        "params:extraction",
        "ablation_input_folder",
        "ablation_video_vectors",
    ]
    return [embed] + [
        Node(
            pack_variants(split),
            [f"labels_{split}", f"annotations_digest_{annotated_as(split)}", *given, *TRACKS],
            f"ablation_{split}_input",
            name=f"pack_ablation_{split}",
        )
        for split in SPLITS
    ]


def _network_nodes() -> list[Node]:
    return [
        Node(
            plan_ablation,
            [
                *INPUTS,
                "params:ablation",
                "params:model",
                "params:training",
                "params:ensemble_members",
                "params:evaluation.constant",
                "params:training_execution",
                "training_states",
                "data_fingerprint",
                "params:modalities",
            ],
            "ablation.plan",
            name="plan_ablation",
        ),
        Node(
            train_variants,
            ["ablation.plan", *INPUTS, "params:training_execution", "tracker", "training_states"],
            ["ablation_networks", "ablation_learning_curves"],
            name="train_variants",
        ),
        Node(
            score_ablation,
            [
                "ablation.plan",
                "ablation_networks",
                *INPUTS,
                "ablation_holdout_input",
                "ablation_test_input",
                "labels_validation",
                "labels_holdout",
                "truth_validation",
                "truth_test",
                "truth_test_labels",
                "params:training",
                "params:evaluation",
                "params:ensembling",
                "data_fingerprint",
                "params:modalities",
            ],
            "ablation_scores",
            name="score_ablation",
        ),
    ]


def _table_nodes() -> list[Node]:
    return [
        Node(
            tabulate_ablation,
            ["ablation_scores", "params:ablation", "params:evaluation"],
            TABLES,
            name="tabulate_ablation",
        ),
        Node(
            list_ablation_runs,
            ["ablation.plan", "ablation_scores", "ablation_learning_curves"],
            "ablation_runs",
            name="list_ablation_runs",
        ),
        Node(draw_ablation, TABLES, ["ablation_figure", "ablation_page"], name="draw_ablation"),
        Node(write_ablation, TABLES, "ablation_report", name="write_ablation"),
    ]
