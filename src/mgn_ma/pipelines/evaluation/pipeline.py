"""members' predictions · labels -> a score for every predictor, video and expression -> the members' report.

The model without training predicts the annotated videos first, where ``evaluation.zero_shot`` says so.
"""

from kedro.pipeline import Node, Pipeline

from mgn_ma.pipelines.model_input.pipeline import PACKED

from .nodes import predict_zero_shot, report_members, score_members


def create_pipeline() -> Pipeline:
    """The pipeline between training and ensembling."""
    return Pipeline(
        [
            Node(
                predict_zero_shot,
                [
                    "params:zero_shot",
                    "params:evaluation",
                    "params:targets",
                    "params:execution",
                    "manifest",
                    "zero_shot_tracks_folder",
                    "labels_validation",
                    "labels_holdout",
                    "truth_test_labels",
                ],
                "zero_shot_predictions",
                name="predict_zero_shot",
            ),
            Node(
                score_members,
                [
                    "member_predictions",
                    "labels_train",
                    "labels_validation",
                    "labels_holdout",
                    "truth_validation",
                    "truth_test",
                    "truth_test_labels",
                    "truth_videos",
                    "zero_shot_predictions",
                    "params:targets",
                    "params:evaluation",
                    "data_fingerprint",
                    "params:modalities",
                    *PACKED,
                ],
                "video_scores",
                name="score_members",
            ),
            Node(report_members, ["video_scores", "params:evaluation"], "member_evaluation", name="report_members"),
        ],
        namespace="evaluation",
        prefix_datasets_with_namespace=False,
    )
