"""The template of every extraction: plan, extract, account. One instance a modality, under its name as a namespace.

::

    manifest ──┬─> plan_extraction ──> {modality}.plan ──┬─> extract_tracks ──> {modality}.tracks ─┐
               │         ^                               └───────────────────────────────────> account_for_tracks
      {modality}.tracks_on_disk                                                                     │
                                                                                          {modality}.account

``{modality}.tracks`` and ``{modality}.tracks_on_disk`` are two catalog entries on one folder, because a node can't have
a dataset as both input and output.
"""

import logging

import pandas as pd
from kedro.pipeline import Node, Pipeline, pipeline

from mgn_ma.execution import ExecutionConfig
from mgn_ma.extractors.pretrained import WeightsError
from mgn_ma.extractors.weights import require_weights
from mgn_ma.features import extraction
from mgn_ma.features.modality import Extractors, Modalities
from mgn_ma.features.plan import ExtractionPlan, ExtractionSettings, make_plan, say
from mgn_ma.features.track import TrackBatch, TrackError
from mgn_ma.features.view import ModalityOnDisk, TrackView

logger = logging.getLogger(__name__)

EXTRACTED = ("image", "audio", "action", "subtitle", "title")
"""The modalities that extractors serve; the video-level one is learned."""


def plan_extraction(
    manifest: pd.DataFrame,
    modalities: Modalities,
    extractors: Extractors,
    settings: ExtractionSettings,
    tracks_on_disk: ModalityOnDisk,
) -> ExtractionPlan:
    """Find out what is missing of one modality.

    Kedro runs the plans of all modalities before the first extraction, and a plan that finds work checks the weights of
    all of them: absent weights stop the run before any video is decoded.

    Raises:
        WeightsError: weights are absent or wrong; the message names all of them.
    """
    configs = extractors.configs(modalities)
    try:
        plan = make_plan(manifest, configs[tracks_on_disk.modality], tracks_on_disk, settings)
    except WeightsError:
        require_weights(configs)
        raise
    if plan.todo:
        require_weights(configs)
    say(plan)
    return plan


def extract_tracks(plan: ExtractionPlan, execution: ExecutionConfig) -> TrackBatch:
    """Hand the store an iterator that extracts as it is consumed: each track is kept before the next is made."""
    return TrackBatch(plan.selection, extraction.extract(plan, execution))


def account_for_tracks(plan: ExtractionPlan, tracks: TrackView) -> pd.DataFrame:
    """Account for every video of the manifest.

    Raises:
        TrackError: a video is neither present, failed nor absent; or every single one failed, which is no property of
            the videos.
    """
    frame = extraction.account(plan, tracks)
    if tracks.failures and not len(tracks):
        first = next(iter(tracks.failures.values()))
        raise TrackError(
            f"not one of {len(tracks.failures)} videos has a {plan.modality} track; the first, {first.video_id}, says: "
            f"{first.reason}"
        )
    if not len(tracks):
        logger.warning("No video has anything to make a %s track from", plan.modality)
    return frame


def merge_accounts(*accounts: pd.DataFrame) -> pd.DataFrame:
    """One table of what became of every video in every modality."""
    merged = pd.concat(accounts, ignore_index=True)
    extraction.say_account(merged)
    return merged


def extraction_pipeline(modality: str) -> Pipeline:
    """The template for one modality: ``manifest`` in; ``{modality}.tracks`` and ``{modality}.account`` out."""
    nodes = [
        Node(
            plan_extraction,
            inputs=["manifest", "params:modalities", "params:extractors", "params:extraction", "tracks_on_disk"],
            outputs="plan",
            name="plan_extraction",
        ),
        Node(extract_tracks, inputs=["plan", "params:execution"], outputs="tracks", name="extract_tracks"),
        Node(account_for_tracks, inputs=["plan", "tracks"], outputs="account", name="account_for_tracks"),
    ]
    shared = {"params:modalities", "params:extractors", "params:extraction", "params:execution"}
    return pipeline(nodes, namespace=modality, inputs={"manifest"}, parameters=shared)


def account_pipeline() -> Pipeline:
    """Merge the accounts of all extracted modalities into ``extraction_account``."""
    return Pipeline(
        [
            Node(
                merge_accounts,
                inputs=[f"{modality}.account" for modality in EXTRACTED],
                outputs="extraction_account",
                name="merge_extraction_accounts",
            )
        ]
    )
