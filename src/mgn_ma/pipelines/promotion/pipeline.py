"""challenger · champion · validation videos -> both scored anew -> decision, in the registry and as a report."""

from kedro.pipeline import Node, Pipeline

from .nodes import decide_promotion, require_comparable

TRACKS = ["image.tracks", "audio.tracks", "action.tracks", "subtitle.tracks", "title.tracks"]


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
                    "data_fingerprint",
                    *TRACKS,
                    "params:promotion",
                    "params:evaluation",
                ],
                "promotion",
                name="decide_promotion",
            ),
            Node(require_comparable, "promotion", None, name="require_comparable"),
        ],
        tags="promotion",
    )
