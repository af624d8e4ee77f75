"""Two cuts of a video by one model, or one video by two models: tables and a page of what differs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mgn_ma.eev.targets import Targets
from mgn_ma.errors import MGNMAError
from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.inspection import take_pictures
from mgn_ma.files import Folder
from mgn_ma.inference.comparison import CONFIDENCE, Comparison, Difference, Side, compare
from mgn_ma.inference.finding import as_text
from mgn_ma.inference.model import Model
from mgn_ma.inference.passages import Passage, find_passages
from mgn_ma.inference.videos import VideoInput, VideoPredictor, VideoSettings
from mgn_ma.media.pictures import PictureTrack
from mgn_ma.redaction import redacted
from mgn_ma.reporting.page import PageComparison, PageSide, render_comparison
from mgn_ma.reporting.prediction_page import PageSettings, browser_address, clock_text, modality_label
from mgn_ma.reporting.spreadsheets import for_spreadsheets

PAGE = "comparison.html"
TABLE = "differences.csv"
SUMMARY = "comparison.json"


class ComparisonError(MGNMAError):
    """Two predictions can't be compared; the message says what of them does not go together."""


@dataclass(frozen=True, slots=True)
class _Predicted:
    """One side with what is shown of it; without pictures where both sides are of one video."""

    video: VideoInput
    model: str
    side: Side
    duration_us: int
    pictures: PictureTrack | None
    source: str | None
    lacking: str
    notes: str
    caution: str


def compare_predictions(
    models: Sequence[tuple[Model, str]],
    videos: Sequence[VideoInput],
    reading: VideoSettings,
    execution: ExecutionConfig,
    output: Path,
) -> list[Passage]:
    """Predict both sides, compare them, and write `PAGE`, `TABLE` and `SUMMARY` into a local folder.

    Args:
        models: one for two videos, or two for one, each with what the results call it.
        videos: two cuts of a video, or one.
        reading: how videos are read.
        execution: where.
        output: also gets the tracks, in ``.tracks``, and videos that are too large for the page.

    Returns:
        The passages of both, in order.

    Raises:
        ComparisonError: a video can't be predicted, or the models predict different targets.
        ExtractorMismatchError: an extractor would not make the tracks that a model was trained on.
        WeightsError: weights of extractors are absent or wrong.
    """
    targets = models[0][0].description.targets
    for bundle, name in models[1:]:
        if bundle.description.targets != targets:
            raise ComparisonError(
                f"{models[0][1]} predicts {_in_words(targets)}, and {name} {_in_words(bundle.description.targets)}: "
                "only models of the same targets can be compared"
            )
    a, b = _predicted(models, videos, reading, execution, output)
    if a.pictures is not None and b.pictures is not None:
        passages, exact_us = find_passages(a.pictures, b.pictures, a.duration_us, b.duration_us)
    else:
        passages, exact_us = [Passage(0, a.duration_us, 0, b.duration_us)], 0
    comparison = compare(a.side, b.side, passages, paired=len(models) == 1)
    summary = {
        "a": _described(a),
        "b": _described(b),
        "exact_us": exact_us,
        "passages": [asdict(passage) for passage in passages],
        "expressions": _of_expressions(targets.names, a.side, b.side, comparison),
    }
    title = f"{a.video.video_id} and {b.video.video_id}" if len(videos) == 2 else a.video.video_id
    page = PageComparison(
        title=title,
        sides=(PageSide(_label(a, videos), a.source), PageSide(_label(b, videos), b.source)),
        expressions=targets.names,
        curve_range=(targets.minimum, targets.maximum),
        passages=passages,
        comparison=comparison,
        means=np.stack([a.side.values.mean(axis=0), b.side.values.mean(axis=0)]),
        interval=_interval_in_words(models),
        exactness=f"Told from the pictures. Ends are exact to {exact_us / 1e6:.2g} s where the pictures move.",
        facts=_facts(a, b, passages, videos),
    )
    folder = Folder(output)
    folder.write(TABLE, for_spreadsheets(_table(targets.names, comparison, passages)).to_csv(index=False).encode())
    folder.write(PAGE, render_comparison(page).encode())
    folder.write(SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False).encode())
    return passages


def _predicted(
    models: Sequence[tuple[Model, str]],
    videos: Sequence[VideoInput],
    reading: VideoSettings,
    execution: ExecutionConfig,
    output: Path,
) -> Iterator[_Predicted]:
    for number, (bundle, model) in enumerate(models):
        predictor = VideoPredictor(bundle, reading, execution)
        for outcome in predictor.predict(videos, output / ".tracks"):
            if outcome.prediction is None or outcome.source is None:
                raise ComparisonError(f"{as_text(outcome.video.path)}: can't be predicted: {outcome.reason}")
            # By now: what was fetched is gone when the next video is asked for.
            yield _Predicted(
                outcome.video,
                model,
                Side.of(outcome.video.video_id, outcome.prediction, bundle),
                outcome.source.duration_us or 0,
                take_pictures(str(outcome.source.video_path), outcome.source.duration_us or 0, execution)
                if len(videos) == 2
                else None,
                None if number else browser_address(outcome, PageSettings(), output, outcome.source.video_id),
                "; ".join(f"{modality_label(name)} ({reason})" for name, reason in outcome.lacking.items()),
                "; ".join(outcome.notes),
                bundle.caution,
            )


def _in_words(targets: Targets) -> str:
    return f"{', '.join(targets.names)} in {targets.minimum:g}..{targets.maximum:g}"


def _described(predicted: _Predicted) -> dict[str, Any]:
    return {
        "video_id": predicted.video.video_id,
        "video": redacted(as_text(predicted.video.path)),
        "model": predicted.model,
        "members": len(predicted.side.members),
        "duration_us": predicted.duration_us,
        "without": predicted.lacking,
        "notes": predicted.notes,
        "caution": predicted.caution,
    }


def _of_expressions(names: Sequence[str], a: Side, b: Side, comparison: Comparison) -> dict[str, Any]:
    means = a.values.mean(axis=0), b.values.mean(axis=0)
    return {
        name: {
            "a_mean": float(means[0][c]),
            "b_mean": float(means[1][c]),
            "whole": _bounds(comparison.whole, c),
            "shared": _bounds(comparison.shared, c),
        }
        for c, name in enumerate(names)
    }


def _bounds(difference: Difference, c: int) -> dict[str, float | None]:
    value, margin = float(difference.value[c]), float(difference.margin[c])
    numbers = {"difference": value, "low": value - margin, "high": value + margin}
    return {name: number if math.isfinite(number) else None for name, number in numbers.items()}


def _table(names: Sequence[str], comparison: Comparison, passages: Sequence[Passage]) -> pd.DataFrame:
    """A row a time and expression; a cell is empty where its side lacks the passage."""
    where = np.array(["both" if p.is_shared else "A" if p.a_start_us < p.a_end_us else "B" for p in passages])
    of_row = where[comparison.passage]
    n_rows, n_names = comparison.a.shape
    columns = {
        "in": of_row,
        "a_timestamp_us": np.where(of_row != "B", comparison.a_us, -1),
        "b_timestamp_us": np.where(of_row != "A", comparison.b_us, -1),
    }
    table = pd.DataFrame({name: np.repeat(values, n_names) for name, values in columns.items()})
    for name in ("a_timestamp_us", "b_timestamp_us"):
        table[name] = table[name].astype("Int64").mask(table[name] < 0)
    table["expression"] = np.tile(np.array(names, dtype=object), n_rows)
    difference = comparison.difference
    numbers = {
        "a": comparison.a,
        "b": comparison.b,
        "difference": difference.value,
        "low": difference.value - difference.margin,
        "high": difference.value + difference.margin,
    }
    return table.assign(**{name: values.reshape(-1).astype(np.float32) for name, values in numbers.items()})


def _label(predicted: _Predicted, videos: Sequence[VideoInput]) -> str:
    return predicted.video.video_id if len(videos) == 2 else predicted.model


def _facts(a: _Predicted, b: _Predicted, passages: Sequence[Passage], videos: Sequence[VideoInput]) -> dict[str, str]:
    facts = {}
    if len(videos) == 2:
        facts["Model"] = a.model
        facts["Length"] = f"A {clock_text(a.duration_us)}, B {clock_text(b.duration_us)}"
        in_both = sum(p.a_end_us - p.a_start_us for p in passages if p.is_shared)
        facts["In both"] = clock_text(in_both)
        facts["Only in A"] = clock_text(max(a.duration_us - in_both, 0))
        facts["Only in B"] = clock_text(max(b.duration_us - in_both, 0))
    else:
        facts["Length"] = clock_text(a.duration_us)
    for letter, side in (("A", a), ("B", b)):
        if side.lacking:
            facts[f"{letter} predicted without"] = side.lacking
        if side.notes:
            facts[f"Note on {letter}"] = side.notes
        if side.caution:
            facts[f"{letter} is"] = side.caution
    return facts


def _interval_in_words(models: Sequence[tuple[Model, str]]) -> str:
    counts = [len(bundle.weights) for bundle, _ in models]
    if min(counts) < 2:
        return "There are no intervals: they are over a model's members, and a model here has one."
    whose = f"the {counts[0]} members of the model" if len(counts) == 1 else f"the {counts[0]} and {counts[1]} members"
    return (
        f"Intervals ({CONFIDENCE:.0%}) are over {whose}: they say how far a difference is a matter of the seeds that "
        "these were trained with, at each time by itself. They don't say how people differ, or how right a model is."
    )
