"""challenger · champion · hold-out -> both scored anew -> decision, in the registry and as a report."""

from kedro.pipeline import Node, Pipeline

from mgn_ma.modalities import EXTRACTED

from .nodes import decide_promotion, require_comparable

TRACKS = [f"{name}.tracks" for name in EXTRACTED]


def create_pipeline() -> Pipeline:
    """The pipeline that one runs when a better model is wanted in use, and never by itself."""
    return Pipeline(
        [
            Node(
                decide_promotion,
                [
                    "challenger",
                    "model_registry",
                    "labels_validation",
                    "labels_holdout",
                    "data_fingerprint",
                    "params:promotion",
                    "params:evaluation",
                    *TRACKS,
                ],
                "promotion",
                name="decide_promotion",
            ),
            Node(require_comparable, "promotion", None, name="require_comparable"),
        ],
    )
