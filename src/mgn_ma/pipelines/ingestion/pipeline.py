"""From raw files to checked tables.

annotations_* ── validate_* ──> labels_* ──┬── list_videos ──> manifest, exclusions
raw_videos ────────────────────────────────┘        └── fingerprint_data ──> data_fingerprint
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from mgn_ma.eev.frames import ANNOTATED, SPLITS

from .nodes import fingerprint_data, list_videos, validate_split, validate_validation

LABELS = [f"labels_{split}" for split in SPLITS]

ANNOTATIONS_DIGESTS = [f"annotations_digest_{split}" for split in ANNOTATED]


def create_pipeline() -> Pipeline:
    """``annotations_*`` and ``raw_videos`` in; ``labels_*``, ``manifest``, ``exclusions``, ``data_fingerprint`` out."""
    return Pipeline(
        [
            *(
                Node(
                    validate_split(split),
                    [f"annotations_{split}", "params:targets"],
                    f"labels_{split}",
                    name=f"validate_{split}",
                )
                for split in ANNOTATED
                if split != "validation"
            ),
            Node(
                validate_validation,
                ["annotations_validation", "params:targets", "params:ingestion"],
                ["labels_validation", "labels_holdout"],
                name="validate_validation",
            ),
            Node(
                list_videos,
                [*LABELS, "raw_videos", "params:ingestion", "params:execution"],
                ["manifest", "exclusions"],
                name="list_videos",
            ),
            Node(
                fingerprint_data,
                [*LABELS, "manifest", *ANNOTATIONS_DIGESTS],
                "data_fingerprint",
                name="fingerprint_data",
            ),
        ],
        namespace="ingestion",
        prefix_datasets_with_namespace=False,
    )
