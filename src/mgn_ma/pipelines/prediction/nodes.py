"""Nodes that find new videos and predict them with a registered model; docs/prediction.md describes what comes out."""

from typing import Any

import pandas as pd

from mgn_ma.execution import ExecutionConfig
from mgn_ma.inference.finding import find_videos
from mgn_ma.inference.videos import VideoInput
from mgn_ma.reporting.exports import per_second
from mgn_ma.reporting.prediction import PredictionSettings, predict_videos
from mgn_ma.reporting.spreadsheets import for_spreadsheets
from mgn_ma.tracking.registry import ModelRegistry


def find_new_videos(prediction: PredictionSettings) -> list[VideoInput]:
    """The videos that the parameters name, with the captions and titles that lie beside them.

    They stay in memory: an address may hold a password.

    Raises:
        NoVideosError: they name none.
    """
    return find_videos(prediction.videos, prediction.caption_languages)


def predict_new_videos(
    new_videos: list[VideoInput],
    prediction: PredictionSettings,
    execution: ExecutionConfig,
    model_registry: ModelRegistry,
    tracks_folder: str,
    pages_folder: str,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any], pd.DataFrame, str]:
    """Curves (twice, for two formats, and by second), attention, contributions, moments, the account, the index.

    Tracks go to a store and pages to a folder as they are made, so that what is finished outlives a crash.
    """
    bundle, model = model_registry.named_bundle(prediction.model)
    tables = predict_videos(
        bundle,
        new_videos,
        prediction,
        execution=execution,
        tracks=tracks_folder,
        pages=pages_folder,
        model=model,
    )
    curves_csv, seconds, account = map(for_spreadsheets, (tables.curves, per_second(tables.curves), tables.account))
    return (
        tables.curves,
        curves_csv,
        seconds,
        tables.attention,
        tables.contributions,
        tables.moments,
        account,
        tables.index,
    )
