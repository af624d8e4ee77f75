"""From what is heard to captions.

annotations_* ──┬── transcribe_videos ──> raw_videos ──┐
                └──────────────────────────────────────┴── account_for_transcription ──> transcription_account
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from .nodes import account_for_transcription, transcribe_videos

ANNOTATIONS = ["annotations_train", "annotations_validation", "annotations_test"]


def create_pipeline() -> Pipeline:
    """``annotations_*`` in; ``raw_videos`` and ``transcription_account`` out. Not part of the default run."""
    return Pipeline(
        [
            Node(
                transcribe_videos,
                ["params:transcription", "params:execution", "raw_videos_folder", *ANNOTATIONS],
                "raw_videos",
                name="transcribe_videos",
            ),
            Node(
                account_for_transcription,
                ["raw_videos", "params:transcription", *ANNOTATIONS],
                "transcription_account",
                name="account_for_transcription",
            ),
        ]
    )
