"""New videos to curves, moments and pages.

params:prediction ── find_new_videos ──> new_videos ── predict_new_videos ──> prediction_curves, …_moments, …_account
model_registry ────────────────────────────────────────────┘                                                  │
                                                                                                        check_account
"""

from kedro.pipeline import Node, Pipeline

from mgn_ma.reporting.prediction import check_account

from .nodes import find_new_videos, predict_new_videos


def create_pipeline() -> Pipeline:
    """``params:prediction`` and ``model_registry`` in; tables, moments, an account, pages and their index out."""
    return Pipeline(
        [
            Node(find_new_videos, "params:prediction", "new_videos", name="find_new_videos"),
            Node(
                predict_new_videos,
                [
                    "new_videos",
                    "params:prediction",
                    "params:execution",
                    "model_registry",
                    "prediction_tracks_folder",
                    "prediction_pages_folder",
                ],
                [
                    "prediction_curves",
                    "prediction_curves_csv",
                    "prediction_seconds",
                    "prediction_attention",
                    "prediction_contributions",
                    "prediction_moments",
                    "prediction_account",
                    "prediction_index",
                ],
                name="predict_new_videos",
            ),
            Node(check_account, "prediction_account", None, name="check_prediction_account"),
        ],
    )
