"""From annotated ids to files.

annotations_* ──┬── fetch_videos ──> raw_videos ──┐
                └─────────────────────────────────┴── account_for_downloads ──> download_account
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from .nodes import account_for_downloads, fetch_videos

ANNOTATIONS = ["annotations_train", "annotations_validation", "annotations_test"]


def create_pipeline() -> Pipeline:
    """``annotations_*`` in; ``raw_videos`` and ``download_account`` out. Not part of the default run."""
    return Pipeline(
        [
            Node(
                fetch_videos,
                ["params:download", "raw_videos_folder", *ANNOTATIONS],
                "raw_videos",
                name="fetch_videos",
            ),
            Node(
                account_for_downloads,
                ["raw_videos", "params:download", *ANNOTATIONS],
                "download_account",
                name="account_for_downloads",
            ),
        ]
    )
