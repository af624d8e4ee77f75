"""params:zero_shot -> zero_shot_model, a version in the model registry."""

from kedro.pipeline import Node, Pipeline

from .nodes import make_model


def create_pipeline() -> Pipeline:
    """Needs no data; the same prompts and encoders are registered once, however often it runs."""
    return Pipeline(
        [Node(make_model, "params:zero_shot", "zero_shot_model", name="register_zero_shot")],
        namespace="zero_shot",
        prefix_datasets_with_namespace=False,
    )
