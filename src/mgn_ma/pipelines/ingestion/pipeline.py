"""From raw files to checked tables.

annotations_* ── validate_* ──> labels_* ──┬── list_videos ──> manifest, exclusions
raw_videos ────────────────────────────────┘        └── fingerprint_data ──> data_fingerprint
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from .nodes import fingerprint_data, list_videos, validate_test, validate_train, validate_validation

LABELS = ["labels_train", "labels_validation", "labels_test"]


def create_pipeline(**_: object) -> Pipeline:
    """``annotations_*`` and ``raw_videos`` in; ``labels_*``, ``manifest``, ``exclusions``, ``data_fingerprint`` out."""
    return Pipeline(
        [
            Node(validate_train, "annotations_train", "labels_train", name="validate_train"),
            Node(validate_validation, "annotations_validation", "labels_validation", name="validate_validation"),
            Node(validate_test, "annotations_test", "labels_test", name="validate_test"),
            Node(
                list_videos,
                [*LABELS, "raw_videos", "params:ingestion", "params:execution"],
                ["manifest", "exclusions"],
                name="list_videos",
            ),
            Node(fingerprint_data, [*LABELS, "manifest"], "data_fingerprint", name="fingerprint_data"),
        ]
    )
