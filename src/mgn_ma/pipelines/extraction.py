"""The template of every extraction: plan, extract, account. One instance a modality, in a namespace of its own.

::

    manifest ──┬─> plan_extraction ──> {modality}.plan ──┬─> extract_tracks ──> {modality}.tracks ──> account_for_tracks
               │         ^                               └────────────────────────────────────────────────^   │
      {modality}.tracks_on_disk                                             require_tracks <── {modality}.account

``{modality}.tracks`` and ``{modality}.tracks_on_disk`` are two catalog entries on one folder, because a node can't have
a dataset as both input and output.
"""

from collections.abc import Iterator

import pandas as pd
from kedro.pipeline import Node, Pipeline

from mgn_ma.execution import ExecutionConfig
from mgn_ma.extractors.pretrained import WeightsError
from mgn_ma.extractors.weights import require_weights
from mgn_ma.features import extraction
from mgn_ma.features.plan import ExtractionPlan, ExtractionSettings, log_plan, make_plan, plan_absent
from mgn_ma.features.settings import Modalities
from mgn_ma.features.track import Selection, Track, TrackError, TrackFailure
from mgn_ma.features.view import ModalityOnDisk
from mgn_ma.modalities import BY_NAME, extracted
from mgn_ma.modality import Granularity


def plan_extraction(
    manifest: pd.DataFrame, modalities: Modalities, settings: ExtractionSettings, tracks_on_disk: ModalityOnDisk
) -> ExtractionPlan:
    """Find out what is missing of one modality.

    A plan that finds work checks the weights of all modalities, so that absent ones stop the run before any video is
    decoded, in whatever order the modalities are worked on.

    Raises:
        WeightsError: weights are absent or wrong; the message names all of them.
    """
    name = tracks_on_disk.modality
    if name not in modalities:
        return plan_absent(manifest, tracks_on_disk)
    configs = modalities.configs()
    try:
        plan = make_plan(manifest, configs[name], tracks_on_disk, settings)
    except WeightsError:
        require_weights(configs)
        raise
    if plan.todo:
        require_weights(configs)
    log_plan(plan)
    return plan


def extract_tracks(plan: ExtractionPlan, execution: ExecutionConfig) -> Iterator[Selection | Track | TrackFailure]:
    """Which tracks are wanted, then each that was missing as it is made: it is kept before the next is asked for."""
    yield plan.selection
    yield from extraction.extract(plan, execution)


def require_tracks(account: pd.DataFrame) -> None:
    """Fail where every single video failed, which is no property of the videos; the account is written by now.

    Raises:
        TrackError: with the first reason.
    """
    failed = account[account["status"] == "failed"]
    if len(failed) and not (account["status"] == "present").any():
        first = failed.iloc[0]
        raise TrackError(
            f"not one of {len(failed)} videos has a {first['modality']} track; the first, {first['video_id']}, says: "
            f"{first['reason']}"
        )


def merge_accounts(*accounts: pd.DataFrame) -> pd.DataFrame:
    """One table of what became of every video in every modality."""
    merged = pd.concat(accounts, ignore_index=True)
    extraction.log_account(merged)
    return merged


def extraction_pipeline(modality: str) -> Pipeline:
    """The template for one modality: ``manifest`` in; ``{modality}.tracks`` and ``{modality}.account`` out."""
    plan, tracks, account = f"{modality}.plan", f"{modality}.tracks", f"{modality}.account"
    return Pipeline(
        [
            Node(
                plan_extraction,
                ["manifest", "params:modalities", "params:extraction", f"{modality}.tracks_on_disk"],
                plan,
                name="plan_extraction",
            ),
            Node(extract_tracks, [plan, "params:execution"], tracks, name="extract_tracks"),
            Node(extraction.account, [plan, tracks], account, name="account_for_tracks"),
            Node(require_tracks, account, None, name="require_tracks"),
        ],
        namespace=f"{BY_NAME[modality].granularity}_features.{modality}",
        prefix_datasets_with_namespace=False,
    )


def extraction_pipelines(granularity: Granularity) -> Pipeline:
    """The template for every modality of a granularity that extractors serve."""
    return sum(map(extraction_pipeline, extracted(granularity)), start=Pipeline([]))
