"""Pretrained weights: ``kedro run --pipelines weights`` lists; ``--params weights.fetch=true`` fetches as well."""

from kedro.pipeline import Node, Pipeline

from mgn_ma.pipelines.weights.nodes import confirm_weights, obtain_weights


def create_pipeline() -> Pipeline:
    """The extractors' settings in; ``weights_account`` out."""
    return Pipeline(
        [
            Node(
                obtain_weights,
                inputs=["params:modalities", "params:weights", "params:transcription"],
                outputs="weights_account",
                name="obtain_weights",
            ),
            Node(
                confirm_weights,
                inputs=["weights_account", "params:weights"],
                outputs=None,
                name="confirm_weights",
            ),
        ]
    )
