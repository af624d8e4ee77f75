"""Titles, the account of all extraction, then the video-level networks and a vector a video (section 2.1.3)."""

from kedro.pipeline import Node, Pipeline

from mgn_ma.modalities import EXTRACTED, VIDEO
from mgn_ma.pipelines.extraction import extraction_pipelines, merge_accounts

from .nodes import READ, embed_videos, train_video_level

TRACKS = [f"{name}.tracks" for name in READ]


def create_pipeline() -> Pipeline:
    """The last extraction, its account, for which everything that learns waits, and the modality that is learned."""
    learned = Pipeline(
        [
            Node(
                merge_accounts,
                [f"{name}.account" for name in EXTRACTED],
                "extraction_account",
                name="merge_extraction_accounts",
            ),
            Node(
                train_video_level,
                [
                    "labels_train",
                    "labels_validation",
                    "extraction_account",
                    "params:modalities",
                    "params:video_level",
                    "params:training.all_zero_rows",
                    "params:targets",
                    "tracker",
                    "training_states",
                    *TRACKS,
                ],
                ["video_level_networks", "video_level_learning_curves"],
                name="train_video_level_networks",
            ),
            Node(
                embed_videos,
                [
                    "video_level_networks",
                    "params:modalities",
                    "params:video_level",
                    f"{VIDEO.name}.tracks_on_disk",
                    *TRACKS,
                ],
                f"{VIDEO.name}.tracks",
                name="embed_videos",
            ),
        ],
        namespace="video_features",
        prefix_datasets_with_namespace=False,
    )
    return extraction_pipelines("video") + learned
