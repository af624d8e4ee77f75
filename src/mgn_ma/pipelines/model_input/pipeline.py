"""tracks · labels · account -> per split, one packed matrix a modality and one index: frame -> row in each matrix."""

from kedro.pipeline import Node, Pipeline

from .nodes import plan_test, plan_train, plan_validation

TRACKS = ["image.tracks", "audio.tracks", "action.tracks", "subtitle.tracks", "video.tracks"]


def create_pipeline(**_: object) -> Pipeline:
    """The pipeline between the features and training; it waits for the account of the extraction."""
    plans = {"train": plan_train, "validation": plan_validation, "test": plan_test}
    return Pipeline(
        [
            Node(
                plan,
                [f"labels_{split}", "extraction_account", "params:targets", "params:modalities", *TRACKS],
                f"{split}_input",
                name=f"pack_{split}",
            )
            for split, plan in plans.items()
        ],
        tags="model_input",
    )
