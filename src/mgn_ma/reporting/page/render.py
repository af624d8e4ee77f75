"""From predictions to HTML text: numbers are packed, words are escaped, and nothing is loaded from elsewhere.

Titles, captions and identifiers are hostile text. They reach the page in two ways only: through a template that
escapes, or as JSON in which ``<``, ``>`` and ``&`` are written as escapes, read by the script as text.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mgn_ma.reporting.content_policy import content_policy

FULL_SCALE = 65535
"""Curves and shares travel as 16-bit numbers: an error of at most 8e-6 of their range, far below a pixel."""


@dataclass(frozen=True, slots=True)
class PageMoment:
    """A peak of one expression, with what a reader wants to see of it.

    Attributes:
        height: how far the peak stands over the video's own level of that expression, in its unit.
        contributions: by how much each modality raises or lowers the curve at the peak, compared with its mean.
        thumbnail: the frame shown at the peak as a JPEG, or None.
        caption: what was said at the peak, or "".
    """

    expression: str
    start_us: int
    peak_us: int
    end_us: int
    value: float
    height: float
    contributions: Mapping[str, float]
    thumbnail: bytes | None = None
    caption: str = ""


@dataclass(frozen=True, slots=True)
class PageVideo:
    """All that one page shows.

    Attributes:
        source: address of the video for the browser, relative to the page or a ``data:`` URL; None shows curves alone.
        timestamps_us: (F,) int64, ascending.
        curve_range: lowest and highest value that a curve can have.
        curves: (F,) values within the range for each expression, in the order of the lanes.
        attention: (F,) share in 0..1 for each modality.
        captions: (start_us, end_us, text) each.
        facts: what stands under the title (model, validation score, …), label to text.
        caution: what has to be told before anybody believes a curve; "" for nothing.
        index: address of the page that lists this one, relative to it; None shows no way there.
    """

    video_id: str
    title: str
    source: str | None
    timestamps_us: npt.NDArray[np.int64]
    curve_range: tuple[float, float]
    curves: Mapping[str, npt.NDArray[np.floating]]
    attention: Mapping[str, npt.NDArray[np.floating]]
    moments: Sequence[PageMoment] = ()
    captions: Sequence[tuple[int, int, str]] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    caution: str = ""
    index: str | None = None


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("mgn_ma.reporting.page", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


def _asset(name: str) -> Markup:
    """A style sheet or script of ours, to stand in the page as it is."""
    return Markup(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))  # noqa: S704


def _json_for_script(value: object) -> Markup:
    """JSON that can't close the script element it stands in, whatever text it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704


def packed(values: npt.NDArray[np.floating], low: float = 0.0, high: float = 1.0) -> str:
    """(F,) numbers in ``low``..``high`` as base64 of little-endian 16-bit integers."""
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a curve holds numbers that aren't finite")
    scaled = np.rint(np.clip((values - low) / (high - low), 0.0, 1.0) * FULL_SCALE).astype("<u2")
    return base64.b64encode(scaled.tobytes()).decode("ascii")


def _overview(curves: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.float64]:
    """(F,) how far (F,) curves are from their means over the video: the root of the mean square over the curves.

    In the unit of the curves, which they have in common: divided by its own deviation, a curve that hardly moves would
    count as much as one that moves far.
    """
    stacked = np.array(curves, dtype=np.float64)
    deviations = stacked - stacked.mean(axis=1, keepdims=True)
    return np.asarray(np.sqrt(np.mean(deviations**2, axis=0)))


def _moment_for_script(moment: PageMoment) -> dict[str, object]:
    entry: dict[str, object] = asdict(moment)
    entry["contributions"] = {name: float(value) for name, value in moment.contributions.items()}
    if moment.thumbnail is not None:
        entry["thumbnail"] = "data:image/jpeg;base64," + base64.b64encode(moment.thumbnail).decode("ascii")
    return entry


def render_page(video: PageVideo) -> str:
    """The page of one video as HTML text that needs no network and no other file but the video itself.

    Raises:
        ValueError: if a curve's length isn't that of the timestamps, or a number isn't finite.
    """
    n_frames = len(video.timestamps_us)
    for name, values in {**video.curves, **video.attention}.items():
        if len(values) != n_frames:
            raise ValueError(f"video {video.video_id}: {name} has {len(values)} values for {n_frames} timestamps")
    low, high = video.curve_range
    data = {
        "overview": packed(_overview(list(video.curves.values())), 0.0, high - low),
        "timestamps_us": [int(t) for t in video.timestamps_us],
        "curves": {name: packed(values, *video.curve_range) for name, values in video.curves.items()},
        "attention": {name: packed(values) for name, values in video.attention.items()},
        "moments": [_moment_for_script(moment) for moment in video.moments],
        "captions": [[int(start), int(end), text] for start, end, text in video.captions],
        "curve_range": video.curve_range,
        "full_scale": FULL_SCALE,
    }
    return with_script("video.html", "page.js", data, video=video)


def with_script(template: str, script: str, data: Mapping[str, object], **context: object) -> str:
    """A page of curves that a script of its own draws from data."""
    style, code = _asset("page.css"), _asset("common.js") + _asset(script)
    policy = content_policy(scripts=[code], styles=[style], more="img-src data:; media-src 'self' file: data: blob:")
    made = _environment().get_template(template)
    return made.render(policy=policy, style=style, script=code, data=_json_for_script(data), **context)


def render_index(entries: Sequence[Mapping[str, object]]) -> str:
    """A page that lists pages.

    Args:
        entries: each with ``href``, ``title``, ``video_id``, ``duration`` and ``moments`` (texts), or with ``error``
            instead of ``href`` for a video that could not be predicted.
    """
    style = _asset("page.css")
    policy = content_policy(styles=[style])
    return _environment().get_template("index.html").render(entries=entries, policy=policy, style=style)
