"""Captions as cues of distinct text: a tolerant reader of WebVTT, SubRip and json3, and the merging of what rolls."""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, overload

from mgn_ma.media.errors import CaptionsError, MediaError
from mgn_ma.media.json3 import Events, read_json3
from mgn_ma.media.whole_file import read_whole

TRANSCRIBED = "Transcribed by mgn_ma"
"""How the first note of a WebVTT file begins that the pipeline `transcription` wrote."""
LONGEST_OPEN_CUE_US = 5_000_000
"""How long a cue without a usable end lasts at most; the next cue ends it before."""

_CONTIGUOUS_US = 100_000
# As players take it: with spaces, a colon before the fraction, a sign before what begins ahead of the video.
_TIME = r"(-?)(?:(\d{1,4})\s*:\s*)?(\d{1,2})\s*:\s*(\d{1,2})(?:\s*[.,:]\s*(\d{1,6}))?"
_TIMING = re.compile(rf"^\s*{_TIME}\s*-->(?:\s*{_TIME}(?!\d))?")
_BLOCKS = ("NOTE", "STYLE", "REGION")
MOST_BYTES = 64 << 20
"""A file of more is no captions: an hour of them has some 100 kB."""
_NOTE_OF_TRANSCRIPTION = re.compile(rf"^NOTE\s+{TRANSCRIBED}", re.MULTILINE)
_WORD_TIME = re.compile(r"<\d+:\d[\d:.]*>")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|</?\d[\d:.]*>|\{\\[^{}]*\}")
# One way only to match any text, so that no text makes them slow.
_SOUND = re.compile(r"(?:\s*(?:\[[^\[\]]*\]|\([^()]*\)|[♪♫♬#*]))+\s*")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u2060\ufeff\x00"))


MadeBy = Literal["automatic", "transcribed"]


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption: what is said, or heard, for ``start_us <= t < end_us``.

    Attributes:
        start_us: microseconds of presentation time.
        end_us: the microsecond after the last one; always after ``start_us``.
        text: in one line, without markup; never empty.
        sound: the text describes a sound, such as ``[Music]``, and is no speech.
    """

    start_us: int
    end_us: int
    text: str
    sound: bool = False


@dataclass(frozen=True, slots=True)
class Captions(Sequence[Cue]):
    """The merged cues of a file in order of their start, and an account of the rest.

    Attributes:
        cues: in order of start; distinct neighbours.
        dropped: cues that could not be understood: no start, or no text beside an unreadable time.
        repaired: cues whose end was missing or not after their start, and was put at the next cue's start.
        merged: cues that only repeated what was on screen already, and went into the one before.
        made_by: who made them, where the file tells: the pipeline `transcription` leaves a note, and words with times
            of their own are YouTube's recognition of speech.
    """

    cues: tuple[Cue, ...]
    dropped: int = 0
    repaired: int = 0
    merged: int = 0
    made_by: MadeBy | None = None

    @property
    def speech(self) -> tuple[Cue, ...]:
        """The cues of what is said."""
        return tuple(cue for cue in self.cues if not cue.sound)

    def __len__(self) -> int:
        return len(self.cues)

    @overload
    def __getitem__(self, index: int) -> Cue: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Cue, ...]: ...
    def __getitem__(self, index: int | slice) -> Cue | tuple[Cue, ...]:
        return self.cues[index]


@dataclass(frozen=True, slots=True)
class _RawCue:
    start_us: int
    end_us: int | None
    lines: tuple[str, ...]


def read_captions(path: str) -> Captions:
    """Read a WebVTT, SubRip or json3 file, whichever its name says, and merge what roll-up display repeats.

    Encoding: a byte order mark decides; else UTF-8; else Windows-1252.

    Args:
        path: local path or fsspec URL.

    Raises:
        CaptionsError: if the file can't be read or holds something else than captions.
    """
    try:
        data = read_whole(path, MOST_BYTES)
    except MediaError as error:
        raise CaptionsError(path, error.reason, transient=error.transient) from error
    try:
        return parse_captions(decode_text(data))
    except ValueError as error:
        raise CaptionsError(path, str(error)) from error


def webvtt_time(time_us: int) -> str:
    """A time as WebVTT writes it, rounded down to the millisecond: ``00:00:01.500``."""
    seconds, milliseconds = divmod(time_us // 1000, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{milliseconds:03d}"


def decode_text(data: bytes) -> str:
    """Text of a caption file in UTF-8, UTF-16 or Windows-1252."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    head = data[:512]
    if head.count(0) > len(head) // 4:
        return data.decode("utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def parse_captions(text: str) -> Captions:
    """Cues of a WebVTT or SubRip text, merged, or of a json3 text.

    Raises:
        ValueError: if the text is none of them: no header, not one line with a time, and no events.
    """
    text = text.lstrip("\ufeff \r\n\t")
    if text.startswith("{") and (events := read_json3(text)) is not None:
        return _of_events(events)
    raw, dropped = _raw_cues(text)
    if not raw and not dropped and text.strip() and not text.startswith("WEBVTT"):
        raise ValueError("holds no captions: neither a WebVTT header, nor a line with times, nor events of json3")
    raw.sort(key=lambda cue: cue.start_us)
    ended, repaired = _with_ends(raw)
    cues, merged = _merge(ended)
    return Captions(tuple(cues), dropped=dropped, repaired=repaired, merged=merged, made_by=_made_by(text))


def _made_by(text: str) -> MadeBy | None:
    if _NOTE_OF_TRANSCRIPTION.search(text):
        return "transcribed"
    return "automatic" if _WORD_TIME.search(text) else None


def _of_events(events: Events) -> Captions:
    """Nothing is merged: what is there twice is said twice."""
    raw = [
        _RawCue(event.start_us, event.end_us, lines)
        for event in sorted(events.events, key=lambda event: event.start_us)
        if (lines := tuple(filter(None, map(_plain, event.text.split("\n")))))
    ]
    ended, repaired = _with_ends(raw)
    cues = tuple(_cue(cue, cue.lines) for cue in ended)
    return Captions(cues, events.dropped, repaired, made_by="automatic" if events.word_times else None)


def _raw_cues(text: str) -> tuple[list[_RawCue], int]:
    cues: list[_RawCue] = []
    dropped = 0
    lines = text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if "-->" not in line:
            continue
        position = _after_blank(lines, position)
        body_start = position
        while position < len(lines) and lines[position] != "" and "-->" not in lines[position]:
            position += 1
        body = lines[body_start:position]
        if position < len(lines) and "-->" in lines[position] and body and body[-1].strip().isdigit():
            body = body[:-1]
        timing = _TIMING.match(line)
        if timing is None:
            dropped += 1
            continue
        shown = tuple(filter(None, map(_plain, body)))
        if shown:
            times = timing.groups()
            start_us, end_us = _time_us(times[:5]), _time_us(times[5:]) if times[7] is not None else None
            if start_us < 0 and (end_us is None or end_us <= 0):
                dropped += 1
                continue
            cues.append(_RawCue(max(start_us, 0), end_us, shown))
    return cues, dropped


def _after_blank(lines: list[str], position: int) -> int:
    """Where a cue's text begins: a blank line between its time and its text is skipped, if what follows is its text."""
    if position + 1 >= len(lines) or lines[position] != "" or not lines[position + 1].strip():
        return position
    text, after = lines[position + 1], lines[position + 2] if position + 2 < len(lines) else ""
    is_text = "-->" not in text and "-->" not in after and not text.startswith(_BLOCKS)
    return position + 1 if is_text else position


def _time_us(parts: tuple[str | None, ...]) -> int:
    sign, hours, minutes, seconds, fraction = parts
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    time_us = whole * 1_000_000 + int((fraction or "0").ljust(6, "0"))
    return -time_us if sign else time_us


def _plain(line: str) -> str:
    return " ".join(html.unescape(_TAG.sub("", line)).translate(_INVISIBLE).split())


def _with_ends(raw: list[_RawCue]) -> tuple[list[_RawCue], int]:
    repaired = 0
    ended: list[_RawCue] = []
    next_start_us: int | None = None
    for position in range(len(raw) - 1, -1, -1):
        cue = raw[position]
        if position + 1 < len(raw) and raw[position + 1].start_us > cue.start_us:
            next_start_us = raw[position + 1].start_us
        if cue.end_us is None or cue.end_us <= cue.start_us:
            latest_us = cue.start_us + LONGEST_OPEN_CUE_US
            cue = replace(cue, end_us=latest_us if next_start_us is None else min(next_start_us, latest_us))
            repaired += 1
        ended.append(cue)
    ended.reverse()
    return ended, repaired


def _merge(cues: list[_RawCue]) -> tuple[list[Cue], int]:
    """Keep the lines that the cue before didn't show; a cue that shows nothing new prolongs its forerunner."""
    kept: list[Cue] = []
    merged = 0
    shown: tuple[str, ...] = ()
    shown_until_us = 0
    for cue in cues:
        follows = bool(kept) and cue.start_us <= shown_until_us + _CONTIGUOUS_US
        new = cue.lines[_carried(shown, cue.lines) :]
        if not new and not follows:
            # What has left the screen and comes back alone is said again.
            new = cue.lines
        if new:
            kept.append(_cue(cue, new))
        else:
            merged += 1
            kept[-1] = replace(kept[-1], end_us=max(kept[-1].end_us, _end_us(cue)))
        shown, shown_until_us = cue.lines, max(shown_until_us, _end_us(cue)) if follows else _end_us(cue)
    return kept, merged


def _cue(raw: _RawCue, lines: Sequence[str]) -> Cue:
    text = " ".join(lines)
    return Cue(raw.start_us, _end_us(raw), text, sound=_SOUND.fullmatch(text) is not None)


def _end_us(cue: _RawCue) -> int:
    assert cue.end_us is not None  # noqa: S101 - _with_ends gives each cue one
    return cue.end_us


def _carried(shown: tuple[str, ...], lines: tuple[str, ...]) -> int:
    """How many first lines are the last lines of what was shown before."""
    longest = min(len(shown), len(lines))
    return next((n for n in range(longest, 0, -1) if shown[-n:] == lines[:n]), 0)
