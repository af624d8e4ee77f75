"""Packed splits -> trials -> the best settings. Not part of the default chain: it stands behind ``model_input``."""

from kedro.pipeline import Node, Pipeline

from .nodes import try_settings, write_best_settings


def create_pipeline() -> Pipeline:
    """Trials of settings, and the best of them."""
    return Pipeline(
        [
            Node(
                try_settings,
                [
                    "train_input",
                    "validation_input",
                    "params:search",
                    "params:model",
                    "params:training",
                    "params:evaluation.constant",
                    "params:training_execution",
                    "tracker",
                    "training_states",
                    "search_journal",
                    "data_fingerprint",
                    "params:modalities",
                ],
                "search_trials",
                name="try_settings",
            ),
            Node(write_best_settings, "search_trials", "search_best", name="write_best_settings"),
        ]
    )
