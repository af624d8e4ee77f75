"""From annotated ids to files.

annotations_* ── list_wanted ──> wanted_videos ──┬── fetch_videos ──> raw_videos ──┐
                                                 └─────────────────────────────────┴── account ──> download_account
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from .nodes import account_for_downloads, fetch_videos, list_wanted


def create_pipeline(**_: object) -> Pipeline:
    """``annotations_*`` in; ``raw_videos`` and ``download_account`` out. Not part of the default run."""
    return Pipeline(
        [
            Node(
                list_wanted,
                ["annotations_train", "annotations_validation", "annotations_test"],
                "wanted_videos",
                name="list_wanted_videos",
            ),
            Node(fetch_videos, ["wanted_videos", "params:download"], "raw_videos", name="fetch_videos"),
            Node(
                account_for_downloads,
                ["wanted_videos", "raw_videos"],
                "download_account",
                name="account_for_downloads",
            ),
        ]
    )
