"""members · video-level networks · recipe · evaluation -> one bundle -> the challenger in the model registry."""

from kedro.pipeline import Node, Pipeline

from .nodes import bundle_ensemble


def create_pipeline() -> Pipeline:
    """The pipeline after ensembling; the same ensemble is registered once, however often it runs."""
    return Pipeline(
        [
            Node(
                bundle_ensemble,
                [
                    "members",
                    "video_level_networks",
                    "ensemble_recipe",
                    "evaluation",
                    "data_fingerprint",
                    "params:modalities",
                    "params:video_level",
                    "params:registration.trained_on",
                    "train_input",
                    "validation_input",
                ],
                "challenger",
                name="register_ensemble",
            )
        ],
        namespace="registration",
        prefix_datasets_with_namespace=False,
    )
