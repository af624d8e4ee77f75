"""From scores to tables: means over seeds with their intervals, and what each row adds to another one.

Two kinds of chance, kept apart. A score's interval is over **seeds**: Student's t of the seeds' scores, the videos as
they are; it says where the mean over many trainings of the variant lies. A step's interval is over **videos**: each
video's score is averaged over the seeds of either variant, and the paired bootstrap draws videos again, the networks as
they are; it says whether other videos of the kind would show the step too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.evaluation.ablation.config import TableRow
from mgn_ma.evaluation.ablation.plan import AblationPlan
from mgn_ma.evaluation.bootstrap import BootstrapConfig, compare
from mgn_ma.evaluation.scoring import ORACLE

SPLITS = ("validation", "holdout", "test")
_OF_SPLIT = ("", "_low", "_high", "_of_oracle", "_step", "_step_low", "_step_high", "_p_not_higher")

TABLE_COLUMNS = (
    "table",
    "row",
    "variant",
    "seeds",
    "paper_eev_test",
    "over",
    "paper_step",
    *(f"{split}{suffix}" for split in SPLITS for suffix in _OF_SPLIT),
)
"""A row of a table. Of each split: the mean over seeds and its interval, the mean as a share of the oracle's score, and
the step over another variant with its interval over videos. Missing where a split has no labels, or nothing above."""

RUN_COLUMNS = ("variant", "seed", "runs", "epochs", "seconds", *SPLITS)


@dataclass(frozen=True)
class VariantScores:
    """Tables of scores (videos, seeds) by split and variant, NaN where eq. 4 leaves a video out."""

    by_split: dict[str, dict[str, pd.DataFrame]]

    @classmethod
    def from_table(cls, scores: pd.DataFrame) -> VariantScores:
        """Sort the table of `mgn_ma.evaluation.ablation.scores`."""
        return cls(
            {
                str(split): {
                    str(variant): rows.pivot_table(index="video_id", columns="seed", values="score", dropna=False)
                    for variant, rows in of_split.groupby("predictor", sort=False)
                }
                for split, of_split in scores.groupby("split", sort=False)
            }
        )

    def of_seeds(self, split: str, variant: str) -> npt.NDArray[np.float64]:
        """(S,) the challenge's score with every seed."""
        return self.by_split[split][variant].mean(axis=0).to_numpy(np.float64)

    def of_videos(self, split: str, variant: str) -> pd.Series:
        """Every video's mean score over the seeds."""
        return self.by_split[split][variant].mean(axis=1)


def make_table(name: str, rows: Sequence[TableRow], scores: VariantScores, bootstrap: BootstrapConfig) -> pd.DataFrame:
    """One table (``TABLE_COLUMNS``); a row without ``over`` is compared with the one above.

    ``bootstrap`` is of the steps, and its confidence that of all intervals.
    """
    made, above = [], None
    papers = {row.variant: row.paper_eev_test for row in rows}
    for row in rows:
        over = row.over or (above if above != row.variant else None)
        made.append(
            {
                "table": name,
                "row": row.row,
                "variant": row.variant,
                "seeds": len(scores.of_seeds("validation", row.variant)),
                "paper_eev_test": row.paper_eev_test,
                "over": over,
                "paper_step": _difference(row.paper_eev_test, papers.get(over) if over else None),
            }
            | dict(_cells(row.variant, over, scores, bootstrap))
        )
        above = row.variant
    return pd.DataFrame(made, columns=list(TABLE_COLUMNS))


def seed_interval(scores: npt.NDArray[np.float64], confidence: float) -> tuple[float, float, float]:
    """Mean of independent trainings (S,), and the bounds of its Student's t interval: NaN for fewer than two."""
    from scipy.stats import t as student

    mean, n = float(scores.mean()), len(scores)
    if n < 2:
        return mean, float("nan"), float("nan")
    half = float(student.ppf((1 + confidence) / 2, n - 1) * scores.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def list_runs(plan: AblationPlan, scores: VariantScores, learning_curves: pd.DataFrame) -> pd.DataFrame:
    """A row a variant and seed (``RUN_COLUMNS``): the runs that it is made of, what they cost, what it scores.

    Rows that share a network share its run, so seconds don't add up to the time that was spent.
    """
    by_run = dict(list(learning_curves.groupby("member", sort=False)))
    rows = []
    for (variant, seed), runs in plan.networks.items():
        curves = pd.concat([by_run[run] for run in runs])
        row = {
            "variant": variant,
            "seed": seed,
            "runs": " ".join(runs),
            "epochs": len(curves),
            "seconds": float(curves["seconds"].sum()),
        }
        row |= {split: float(of[variant][seed].mean()) for split, of in scores.by_split.items()}
        rows.append(row)
    return pd.DataFrame(rows, columns=list(RUN_COLUMNS))


def _cells(
    variant: str, over: str | None, scores: VariantScores, bootstrap: BootstrapConfig
) -> Iterator[tuple[str, float]]:
    """The cells of every split that has scores."""
    for split, of_split in scores.by_split.items():
        mean, low, high = seed_interval(scores.of_seeds(split, variant), bootstrap.confidence)
        yield split, mean
        yield f"{split}_low", low
        yield f"{split}_high", high
        if ORACLE in of_split:
            yield f"{split}_of_oracle", mean / float(scores.of_seeds(split, ORACLE).mean())
        if over is not None:
            ours, theirs = scores.of_videos(split, variant), scores.of_videos(split, over)
            step = compare(ours.to_numpy(), theirs.reindex(ours.index).to_numpy(), bootstrap)
            yield f"{split}_step", step.difference
            yield f"{split}_step_low", step.low
            yield f"{split}_step_high", step.high
            yield f"{split}_p_not_higher", step.p_not_higher


def _difference(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours - theirs
