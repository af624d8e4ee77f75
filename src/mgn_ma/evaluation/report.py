"""The evaluation report: what each predictor scores, how sure that is, and what beats what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from pydantic_core import to_jsonable_python

from mgn_ma.eev.correlation import mean_of_defined
from mgn_ma.eev.frames import expression_matrix
from mgn_ma.evaluation.bootstrap import BootstrapConfig, compare, interval, intervals
from mgn_ma.evaluation.ensembling import EnsemblingMethod, LearnedMethod
from mgn_ma.evaluation.metrics import expression_means, undefined
from mgn_ma.evaluation.predictions import SHUFFLED
from mgn_ma.evaluation.reaction import BY_EXPRESSION, LearnedReaction, ReactionMethod
from mgn_ma.evaluation.scoring import ENSEMBLE, ORACLE, TIME_ONLY, ZERO_SHOT


def split_report(scores: pd.DataFrame, config: BootstrapConfig) -> dict[str, Any]:
    """What the predictors in the score table of one split score, with intervals; ``None`` for those not there.

    Returns:
        ``oracle``, ``time_only``, ``zero_shot``, ``shuffled``, ``members`` and, if its rows are there, ``ensemble``
        with ``per_expression`` and ``per_theme``; ``expressions`` (every predictor by expression) and ``intervals``.
    """
    rows = by_predictor(scores)
    report: dict[str, Any] = dict.fromkeys((ORACLE, TIME_ONLY, ZERO_SHOT, SHUFFLED))
    report |= {name: mean_score(table) for name, table in rows.items() if name in report}
    report["members"] = [mean_score(rows[name]) for name in member_names(rows)]
    if ENSEMBLE in rows:
        report[ENSEMBLE] = mean_score(rows[ENSEMBLE])
        report["per_expression"] = expression_means(rows[ENSEMBLE])
        report["per_theme"] = theme_means(rows[ENSEMBLE])
    report["expressions"] = expression_report(rows, config)
    report["intervals"] = {
        name: asdict(interval(table["score"].to_numpy(np.float64), config)) for name, table in rows.items()
    }
    return report


def expression_report(rows: Mapping[str, pd.DataFrame], config: BootstrapConfig) -> dict[str, Any]:
    """By expression: what every predictor scores, and the ensemble's ``interval`` (low, high) over videos."""
    means = {name: expression_means(table) for name, table in rows.items()}
    singles = [name for name in (ORACLE, TIME_ONLY, ZERO_SHOT, SHUFFLED, ENSEMBLE) if name in rows]
    report: dict[str, Any] = {
        expression: {name: means[name][expression] for name in singles}
        | {"members": [means[name][expression] for name in member_names(rows)]}
        for expression in next(iter(means.values()))
    }
    if ENSEMBLE in rows:
        found = intervals(expression_matrix(rows[ENSEMBLE], list(report)).astype(np.float64), config)
        for expression, bounds in zip(list(report), found, strict=True):
            report[expression]["interval"] = None if math.isnan(bounds.low) else [bounds.low, bounds.high]
    return report


def comparisons(scores: pd.DataFrame, config: BootstrapConfig) -> dict[str, Any]:
    """Whether the ensemble scores higher than the controls, its median and best member, the oracle; paired by video.

    With an even number of members the median one is the higher of the middle two. The best one is chosen by the very
    scores that it is compared by, which flatters it.
    """
    rows = by_predictor(scores)
    if ENSEMBLE not in rows:
        return {}
    ranked = sorted(member_names(rows), key=lambda name: mean_score(rows[name]))
    others = {name: name for name in (TIME_ONLY, ZERO_SHOT, SHUFFLED, ORACLE) if name in rows}
    if ranked:
        others |= {"median_member": ranked[len(ranked) // 2], "best_member": ranked[-1]}
    ours = _by_video(rows[ENSEMBLE])
    return {
        f"{ENSEMBLE}_over_{label}": asdict(
            compare(ours.to_numpy(), _by_video(rows[name]).reindex(ours.index).to_numpy(), config)
        )
        for label, name in others.items()
    }


def method_report(
    learned: Mapping[EnsemblingMethod, LearnedMethod], members: list[str], config: BootstrapConfig
) -> dict[str, Any]:
    """Every ensembling method: its cross-validated score, that with an interval, and its difference to the mean.

    ``in_sample`` is its score on the videos that its weights have seen; ``weights`` are what all of them taught it.
    """
    mean = mean_of_defined(learned["mean"].r, axis=1)
    report: dict[str, Any] = {}
    for name, method in learned.items():
        scores = mean_of_defined(method.r, axis=1)
        report[name] = {
            "score": method.score,
            "interval": asdict(interval(scores, config)),
            "over_mean": asdict(compare(scores, mean, config)),
            "in_sample": method.in_sample,
            "weights": dict(zip(members, method.weights.tolist(), strict=True)),
        }
    return report


def reaction_report(
    learned: Mapping[ReactionMethod, LearnedReaction], expressions: Sequence[str], config: BootstrapConfig
) -> dict[str, Any]:
    """Every way to react: its cross-validated score, that with an interval, and what it gains on curves as they are.

    ``fitted`` is what all videos taught it, by expression or for ``all``: the delay, the time constant and how late the
    reaction is in the mean by both (``lag_s``), with an interval over videos.
    """
    as_they_are = mean_of_defined(learned["none"].r, axis=1)
    report: dict[str, Any] = {}
    for name, found in learned.items():
        scores = mean_of_defined(found.r, axis=1)
        rows = zip(
            expressions if name.endswith(BY_EXPRESSION) else ["all"],
            found.reaction.delays_s,
            found.reaction.time_constants_s,
            found.reaction.lags_s,
            found.lag_bounds_s.T.tolist(),
            strict=False,
        )
        report[name] = {
            "score": found.score,
            "interval": asdict(interval(scores, config)),
            "over_none": asdict(compare(scores, as_they_are, config)),
            "in_sample": found.in_sample,
            "fitted": {
                of: {"delay_s": delay, "time_constant_s": constant, "lag_s": lag, "lag_interval": bounds}
                for of, delay, constant, lag, bounds in rows
            },
        }
    return report


def counts(scores: pd.DataFrame, predictor: str) -> dict[str, Any]:
    """``undefined``, ``n_videos`` and ``n_frames`` of one predictor's rows."""
    rows = by_predictor(scores)[predictor]
    return {"undefined": undefined(rows), "n_videos": len(rows), "n_frames": int(rows["n_frames"].sum())}


def theme_means(rows: pd.DataFrame) -> dict[str, Any] | None:
    """Mean score and number of videos by theme of one predictor's rows; ``None`` where no theme is known."""
    if rows["theme"].isna().all():
        return None
    return {
        str(theme): {"score": float(group["score"].mean()), "n_videos": len(group)}
        for theme, group in rows.groupby("theme")
    }


def mean_score(rows: pd.DataFrame) -> float:
    """The challenge's score of one predictor's rows: the mean over the videos that have a score."""
    return float(rows["score"].mean())


def by_predictor(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of every predictor, in the table's order."""
    return {str(name): rows for name, rows in scores.groupby("predictor", sort=False)}


def member_names(predictors: Mapping[str, Any]) -> list[str]:
    """Those of the predictors that are members of an ensemble."""
    others = {ORACLE, TIME_ONLY, ZERO_SHOT, SHUFFLED, ENSEMBLE}
    return [name for name in predictors if name.partition(" ")[0] not in others]


def json_values(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report as JSON knows it: NaN and infinities become ``None``, NumPy's numbers Python's."""
    values: dict[str, Any] = to_jsonable_python(report, inf_nan_mode="null", fallback=lambda number: number.item())
    return values


def _by_video(rows: pd.DataFrame) -> pd.Series:
    return rows.set_index("video_id")["score"].astype(np.float64)
