"""packed splits -> members · control · learning curves -> predictions and modal attention of each."""

from kedro.pipeline import Node, Pipeline

from .nodes import predict, train


def create_pipeline() -> Pipeline:
    """The pipeline between model_input and evaluation."""
    return Pipeline(
        [
            Node(
                train,
                [
                    "train_input",
                    "validation_input",
                    "params:model",
                    "params:training",
                    "params:ensemble_members",
                    "params:evaluation.constant",
                    "params:training_execution",
                    "tracker",
                    "training_states",
                    "data_fingerprint",
                    "params:modalities",
                ],
                ["members", "shuffled_member", "learning_curves"],
                name="train_members",
            ),
            Node(
                predict,
                [
                    "members",
                    "shuffled_member",
                    "train_input",
                    "validation_input",
                    "holdout_input",
                    "test_input",
                    "params:training",
                    "data_fingerprint",
                    "params:modalities",
                ],
                ["member_predictions", "member_attention"],
                name="predict_with_members",
            ),
        ],
        namespace="training",
        prefix_datasets_with_namespace=False,
    )
