"""Titles, the account of all extraction, then the video-level networks and a vector a video (section 2.1.3)."""

from kedro.pipeline import Node, Pipeline

from mgn_ma.pipelines.extraction import account_pipeline, extraction_pipeline

from .nodes import embed_videos, train_video_level

TRACKS = ["image.tracks", "audio.tracks", "title.tracks"]


def create_pipeline(**_: object) -> Pipeline:
    """The last extraction, its account, and the modality that is learned."""
    learned = Pipeline(
        [
            Node(
                train_video_level,
                [
                    "labels_train",
                    *TRACKS,
                    "params:video_level",
                    "params:training.all_zero_rows",
                    "params:targets",
                    "training_states",
                ],
                "video_level_networks",
                name="train_video_level_networks",
            ),
            Node(
                embed_videos,
                ["video_level_networks", *TRACKS, "video.tracks_on_disk", "params:video_level"],
                "video.tracks",
                name="embed_videos",
            ),
        ],
        tags="video_features",
    )
    return extraction_pipeline("title") + account_pipeline() + learned
