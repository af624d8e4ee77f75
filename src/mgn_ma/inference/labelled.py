"""What a model says of annotated videos, at the times that have labels, from tracks that its own extractors make."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mgn_ma.evaluation.predictions import frame_table
from mgn_ma.execution import ExecutionConfig
from mgn_ma.execution.progress import Progress
from mgn_ma.extractors.weights import require_weights
from mgn_ma.features.plan import ExtractionSettings
from mgn_ma.features.store import TrackStore
from mgn_ma.inference.model import Model
from mgn_ma.inference.videos import checked_extractors, make_tracks, plan_tracks


def predict_labelled(
    model: Model,
    labels: Mapping[str, pd.DataFrame],
    manifest: pd.DataFrame,
    store: TrackStore,
    execution: ExecutionConfig,
) -> pd.DataFrame:
    """Frame table of all labelled frames, with the column ``split`` besides.

    A video that has no track at all is in it too: the model says of it what it says of nothing.

    Args:
        labels: by split, a frame table.
        manifest: of all videos; those without labels are not read.
        store: keeps the tracks, of which those that are there are not made again.
        execution: where extraction runs.

    Raises:
        ExtractorMismatchError: an extractor would not make the tracks that the model is for.
        WeightsError: weights of extractors are absent or wrong.
    """
    extractors = checked_extractors(model)
    wanted = manifest["video_id"].isin(set().union(*(table["video_id"] for table in labels.values())))
    plans = plan_tracks(manifest[wanted], extractors, store, ExtractionSettings())
    if any(plan.todo for plan in plans.values()):
        require_weights(extractors)
    views = make_tracks(plans, store, execution)
    predictor, names = model.predictor(), model.description.targets.names
    blocks = [
        (split, str(video_id), block)
        for split, table in labels.items()
        for video_id, block in table.groupby("video_id", sort=False, observed=True)
    ]
    parts = []
    with Progress(len(blocks), "predicting annotated videos", unit="video") as meter:
        for split, video_id, block in blocks:
            tracks = {name: view.read(video_id).rows for name, view in views.items() if video_id in view}
            times = block["timestamp_us"].to_numpy(np.int64)
            values = predictor.predict(video_id, tracks, times).values
            parts.append(frame_table(block, names, values).assign(split=split))
            meter.update()
    return pd.concat(parts, ignore_index=True)
