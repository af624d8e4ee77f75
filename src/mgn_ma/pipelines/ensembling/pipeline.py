"""members' predictions -> recipe -> the ensemble's predictions -> submission · scores · calibration."""

from kedro.pipeline import Node, Pipeline

from mgn_ma.eev.submission import make_submission
from mgn_ma.pipelines.model_input.pipeline import PACKED

from .nodes import calibrate, combine_members, learn_ensemble, score_ensembles


def create_pipeline() -> Pipeline:
    """The pipeline that makes one prediction of several, and scores it."""
    return Pipeline(
        [
            Node(
                learn_ensemble,
                [
                    "member_predictions",
                    "labels_validation",
                    "params:targets",
                    "params:ensembling",
                    "params:ensemble_members",
                    "params:evaluation",
                    "data_fingerprint",
                    "params:modalities",
                    *PACKED,
                ],
                ["ensemble_recipe", "ensemble_recipes", "ensembling_methods", "ensembling_reactions"],
                name="learn_ensemble",
            ),
            Node(
                combine_members,
                ["member_predictions", "ensemble_recipe", "params:targets"],
                "ensemble_predictions",
                name="combine_members",
            ),
            Node(
                make_submission,
                ["labels_test", "ensemble_predictions", "params:targets"],
                "submission",
                name="write_submission",
            ),
            Node(
                score_ensembles,
                [
                    "ensemble_predictions",
                    "member_predictions",
                    "ensemble_recipes",
                    "labels_validation",
                    "labels_holdout",
                    "truth_test_labels",
                    "truth_videos",
                    "params:targets",
                    "params:evaluation",
                ],
                "ensemble_scores",
                name="score_ensembles",
            ),
            Node(
                calibrate,
                ["ensemble_predictions", "labels_validation", "params:evaluation"],
                ["calibration_bins", "calibration_by_expression"],
                name="calibrate",
            ),
        ],
        namespace="ensembling",
        prefix_datasets_with_namespace=False,
    )
