"""Nodes that make the sample; what they make and why is in docs/sample.md."""

import pandas as pd

from mgn_ma.errors import MGNMAError
from mgn_ma.media.folder import MediaFolder, local_folder
from mgn_ma.sample.annotations import eev_annotations, hidden_labels, noise_free_signal, video_table
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.rendering import render_videos
from mgn_ma.sample.script import VideoPlan, write_script


class SampleNotWantedError(MGNMAError):
    """The sample would replace raw data that may be somebody's own."""


def plan_sample(sample: SampleConfig) -> list[VideoPlan]:
    """Decide what every video of the sample will be.

    Raises:
        SampleNotWantedError: where the environment doesn't say that its raw data may be replaced.
    """
    if not sample.render:
        raise SampleNotWantedError(
            "the sample_data pipeline would write over this environment's raw annotations and videos. "
            "Run it where they are the sample's own (kedro run --env sample --pipelines sample_data), or, if this "
            "environment's raw data may be replaced, set sample.render: true in its parameters"
        )
    return write_script(sample)


def render_sample(plans: list[VideoPlan], sample: SampleConfig, folder: str) -> MediaFolder:
    """The videos, captions and titles; those that are missing in the folder are rendered."""
    render_videos(plans, local_folder(folder), sample.workers)
    return MediaFolder(folder)


def annotate_sample(plans: list[VideoPlan], sample: SampleConfig) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Annotations of train, validation and test as EEV publishes them."""
    return (
        eev_annotations(plans, "train", sample.noise),
        eev_annotations(plans, "validation", sample.noise),
        eev_annotations(plans, "test", sample.noise),
    )


def keep_truth(plans: list[VideoPlan], sample: SampleConfig) -> dict[str, pd.DataFrame]:
    """What only an evaluation may know: the noise-free signal, the labels of test, each video's theme."""
    return {
        "truth_train": noise_free_signal(plans, "train", sample.noise),
        "truth_validation": noise_free_signal(plans, "validation", sample.noise),
        "truth_test": noise_free_signal(plans, "test", sample.noise),
        "truth_test_labels": hidden_labels(plans, "test", sample.noise),
        "truth_videos": video_table(plans),
    }
