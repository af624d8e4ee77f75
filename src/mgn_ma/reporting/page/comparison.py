"""From a comparison of two predictions to HTML text, by the same rules as the page of a video."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mgn_ma.inference.comparison import Comparison, Difference
from mgn_ma.inference.passages import Passage
from mgn_ma.reporting.page.render import FULL_SCALE, packed, with_script


@dataclass(frozen=True, slots=True)
class PageSide:
    """A or B.

    Attributes:
        label: what stands under the video.
        source: as of `mgn_ma.reporting.page.PageVideo`; None where there is no video, or the other side shows it.
    """

    label: str
    source: str | None


@dataclass(frozen=True, slots=True)
class PageComparison:
    """All that the page shows.

    Attributes:
        sides: A and B.
        expressions: C, in the order of the comparison.
        curve_range: lowest and highest value that a curve can have.
        means: (2, C) of A's and B's curves over the whole.
        interval: in words, what the intervals are over.
        exactness: in words, how exact the passages' ends are.
        facts: what stands under the title, label to text.
    """

    title: str
    sides: tuple[PageSide, PageSide]
    expressions: Sequence[str]
    curve_range: tuple[float, float]
    passages: Sequence[Passage]
    comparison: Comparison
    means: npt.NDArray[np.float64]
    interval: str
    exactness: str
    facts: Mapping[str, str] = field(default_factory=dict)


def render_comparison(page: PageComparison) -> str:
    """The page as HTML text that needs no network and no other file but the videos."""
    comparison, (low, high) = page.comparison, page.curve_range
    span = high - low
    margins = np.nan_to_num(comparison.difference.margin)
    # With few members an interval may be wider than the range of the values.
    widest = float(max(margins.max(), span))
    has_margin = np.isfinite(comparison.whole.margin).all()
    curves = {
        name: {
            "a": packed(np.nan_to_num(comparison.a[:, c], nan=low), low, high),
            "b": packed(np.nan_to_num(comparison.b[:, c], nan=low), low, high),
            "difference": packed(np.nan_to_num(comparison.difference.value[:, c]), -span, span),
            "margin": packed(margins[:, c], 0.0, widest) if has_margin else None,
        }
        for c, name in enumerate(page.expressions)
    }
    data = {
        "passages": [[p.a_start_us, p.a_end_us, p.b_start_us, p.b_end_us] for p in page.passages],
        "row_passage": comparison.passage.tolist(),
        "a_us": comparison.a_us.tolist(),
        "b_us": comparison.b_us.tolist(),
        "curves": curves,
        "curve_range": page.curve_range,
        "widest": widest,
        "full_scale": FULL_SCALE,
    }
    context = {
        "title": page.title,
        "page": {
            "facts": page.facts,
            "sides": [
                {"letter": letter, "label": side.label, "source": side.source}
                for letter, side in zip("AB", page.sides, strict=True)
            ],
            "interval": page.interval,
            "exactness": page.exactness,
            "rows": [_row(page, c) for c in range(len(page.expressions))],
            "passages": [passage_text(passage) for passage in page.passages],
        },
    }
    return with_script("comparison.html", "comparison.js", data, **context)


def passage_text(passage: Passage) -> str:
    """A passage in words."""
    in_a = f"{clock(passage.a_start_us)} to {clock(passage.a_end_us)}"
    in_b = f"{clock(passage.b_start_us)} to {clock(passage.b_end_us)}"
    if passage.is_shared:
        return f"both: A {in_a}, B {in_b}"
    return f"only in A: {in_a}" if passage.a_start_us < passage.a_end_us else f"only in B: {in_b}"


def clock(time_us: int) -> str:
    """Minutes, seconds and hundredths."""
    hundredths = round(time_us / 10_000)
    return f"{hundredths // 6000}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}"


def _row(page: PageComparison, c: int) -> dict[str, object]:
    comparison, low_high = page.comparison, page.curve_range
    digits = min(max(3 - math.floor(math.log10(low_high[1] - low_high[0])), 0), 12)
    row: dict[str, object] = {
        "expression": page.expressions[c],
        "a": f"{page.means[0, c]:.{digits}f}",
        "b": f"{page.means[1, c]:.{digits}f}",
        "whole": _difference(comparison.whole, c, digits),
        "shared": _difference(comparison.shared, c, digits),
        "furthest": "",
    }
    differences = comparison.difference.value[:, c]
    if np.isfinite(differences).any():
        number = int(np.nanargmax(np.abs(differences)))
        row["furthest"] = f"{_signed(differences[number], digits)} at {clock(int(comparison.a_us[number]))}"
        row["furthest_row"] = number
    return row


def _difference(difference: Difference, c: int, digits: int) -> dict[str, object]:
    value, margin = difference.value[c], difference.margin[c]
    if not math.isfinite(value):
        return {"text": "", "is_clear": False}
    if not math.isfinite(margin):
        return {"text": _signed(value, digits), "is_clear": False}
    text = f"{_signed(value, digits)} ({_signed(value - margin, digits)} to {_signed(value + margin, digits)})"
    return {"text": text, "is_clear": bool(abs(value) > margin)}


def _signed(value: float, digits: int) -> str:
    shown = f"{abs(value):.{digits}f}"
    return f"{'-' if value < 0 and float(shown) else '+'}{shown}".replace("-", "\N{MINUS SIGN}")
