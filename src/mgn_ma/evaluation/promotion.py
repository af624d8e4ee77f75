"""Whether a challenger takes the champion's place: it has to score higher by more than chance would give it."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.evaluation.bootstrap import Comparison, Interval

Outcome = Literal["promoted", "kept", "unchanged", "refused", "set_by_hand"]


class PromotionConfig(Configuration):
    """The parameter ``promotion``."""

    min_gain: Annotated[float, Field(ge=0)] = 0.0
    """What the lower end of the interval of the challenger's gain has to be above; in correlation."""
    version: Annotated[int, Field(ge=1)] | None = None
    """The version to make the champion by hand, whatever it scores."""
    dry_run: bool = False
    """Only say what would be done."""


class Decision(Configuration):
    """What became of a version, and why; the report, and the tags of the version.

    Attributes:
        outcome: ``promoted``; ``kept``: the champion stays; ``unchanged``: the version is the champion already;
            ``refused``: the two can't be compared; ``set_by_hand``.
        version: that was decided on.
        champion: version that was the champion then, if there was one.
        holdout_uses: how many decisions have read the hold-out by now, this one included; ``None``: decided on the
            validation videos, or on none.
        score: of the version on these videos, as scored for this decision.
        champion_score: of the champion, on the same videos.
        gain: the difference of the two, paired by video.
    """

    outcome: Outcome
    reason: str
    version: int
    champion: int | None
    min_gain: float | None = None
    holdout_uses: int | None = None
    score: Interval | None = None
    champion_score: Interval | None = None
    gain: Comparison | None = None

    @property
    def changes_champion(self) -> bool:
        """Whether the version becomes the champion by it."""
        return self.outcome in ("promoted", "set_by_hand")


def decide_first(version: int, score: Interval, config: PromotionConfig, holdout_uses: int | None = None) -> Decision:
    """The decision where there is no champion: anything is better than nothing."""
    return Decision(
        outcome="promoted",
        reason=f"there was no champion; it scores {_number(score.estimate)} on {_videos(score.n_videos, holdout_uses)}",
        version=version,
        champion=None,
        min_gain=config.min_gain,
        holdout_uses=holdout_uses,
        score=score,
    )


def decide(
    version: int,
    champion: int,
    score: Interval,
    champion_score: Interval,
    gain: Comparison,
    config: PromotionConfig,
    holdout_uses: int | None = None,
) -> Decision:
    """The decision between two: the lower end of the gain's interval must be above ``min_gain``.

    Equal ones gain nothing, and fewer than two videos have no interval: both leave the champion where it is.
    """
    is_better = gain.low > config.min_gain
    numbers = (
        f"it scores {_number(score.estimate)}, version {champion} {_number(champion_score.estimate)} on the same "
        f"{_videos(gain.n_videos, holdout_uses)}; the gain is {_number(gain.difference)} "
        f"(interval {_number(gain.low)} to {_number(gain.high)})"
    )
    if is_better:
        verdict = f"its lower end is above the least gain of {config.min_gain:g}"
    elif math.isnan(gain.low):
        verdict = "fewer than two videos give no interval"
    else:
        verdict = f"its lower end is not above the least gain of {config.min_gain:g}"
    return Decision(
        outcome="promoted" if is_better else "kept",
        reason=f"{numbers}; {verdict}",
        version=version,
        champion=champion,
        min_gain=config.min_gain,
        holdout_uses=holdout_uses,
        score=score,
        champion_score=champion_score,
        gain=gain,
    )


def _videos(number: int, holdout_uses: int | None) -> str:
    if holdout_uses is None:
        return f"{number} validation videos"
    return f"{number} hold-out videos (used {holdout_uses} {'time' if holdout_uses == 1 else 'times'} by now)"


def _number(value: float) -> str:
    return "nothing" if math.isnan(value) else f"{value:.4f}"
