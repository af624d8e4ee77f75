"""YouTube's own captions, json3: events with a start, a length and pieces of text, none of them shown twice."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

_LATEST_MS = 10_000 * 3_600_000
"""As late as a time of WebVTT that is read."""


@dataclass(frozen=True, slots=True)
class Event:
    """A piece of text, shown from ``start_us`` to ``end_us``, where that is told; its lines end with line feeds."""

    start_us: int
    end_us: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Events:
    """The events of a file that have text, in their order.

    Attributes:
        events: what is shown.
        dropped: events with text and no readable start, or that are no events.
        word_times: whether words have times of their own, as in what YouTube makes by itself.
    """

    events: tuple[Event, ...]
    dropped: int
    word_times: bool


def read_json3(text: str) -> Events | None:
    """The events of a json3 text; ``None`` if it is none.

    Automatic captions are written into a window that rolls: a line stays until the next but one, and ends here where
    the next one begins, as it does in WebVTT once that is merged. Line feeds that are appended only make it roll.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    events = document.get("events") if isinstance(document, dict) else None
    if not isinstance(events, list):
        return None
    found: list[tuple[Event, Any]] = []
    dropped, word_times = 0, False
    for event in events:
        pieces = _pieces(event)
        if pieces is None:
            dropped += 1
            continue
        shown = "".join(str(piece.get("utf8", "")) for piece in pieces)
        if not shown.strip():
            continue
        start_us, length_us = _microseconds(event.get("tStartMs")), _microseconds(event.get("dDurationMs"))
        if start_us is None:
            dropped += 1
            continue
        word_times = word_times or any("tOffsetMs" in piece for piece in pieces)
        # JSON can spell lone surrogates, which can't be written to any file in UTF-8.
        shown = shown.encode("utf-8", errors="replace").decode("utf-8")
        found.append((Event(start_us, start_us + length_us if length_us else None, shown), event.get("wWinId")))
    return Events(tuple(_rolled(found)), dropped, word_times)


def _pieces(event: Any) -> list[dict[str, Any]] | None:
    """The pieces of text of an event; ``None`` of what is no event."""
    pieces = event.get("segs", []) if isinstance(event, dict) else None
    is_read = isinstance(pieces, list) and all(
        isinstance(piece, dict) and isinstance(piece.get("utf8", ""), str) for piece in pieces
    )
    return pieces if is_read else None


def _microseconds(milliseconds: Any) -> int | None:
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
        return None
    return round(milliseconds * 1000) if 0 <= milliseconds < _LATEST_MS else None


def _rolled(found: list[tuple[Event, Any]]) -> list[Event]:
    starts: defaultdict[int, list[int]] = defaultdict(list)
    for event, window in found:
        if isinstance(window, int):
            starts[window].append(event.start_us)
    for times in starts.values():
        times.sort()
    ended = []
    for event, window in found:
        times = starts[window] if isinstance(window, int) else []
        following = bisect_right(times, event.start_us)
        if following < len(times):
            next_us = times[following]
            event = replace(event, end_us=next_us if event.end_us is None else min(event.end_us, next_us))
        ended.append(event)
    return ended
