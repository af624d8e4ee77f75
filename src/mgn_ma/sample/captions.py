"""WebVTT as YouTube writes it for automatic captions: lines that roll up, words with times, cues of 10 ms."""

from __future__ import annotations

from collections.abc import Sequence

from mgn_ma.media.subtitles import webvtt_time
from mgn_ma.sample.speech import MUSIC, SpokenLine

_HEADER = "WEBVTT\nKind: captions\nLanguage: en\n"
_SETTINGS = "align:start position:0%"
_BLINK_US = 10_000
_EMPTY = " "


def automatic_captions(lines: Sequence[SpokenLine]) -> str:
    """The text of an ``<id>.en.vtt``.

    Each line comes as two cues: one in which it is typed word by word under the line before it, and one of 10 ms in
    which it stands alone. Music stays on the screen while the next line begins, so that cues overlap.
    """
    blocks = [_HEADER]
    above = ""
    for line in lines:
        text = " ".join(line.words)
        start_us, end_us = line.starts_us[0], line.end_us
        if text == MUSIC:
            blocks.append(_cue(start_us, end_us + 700_000, _EMPTY, MUSIC))
            above = ""
            continue
        blocks.append(_cue(start_us, end_us - _BLINK_US, above or _EMPTY, _typed(line)))
        blocks.append(_cue(end_us - _BLINK_US, end_us, text, _EMPTY))
        above = text
    return "\n".join(blocks) + "\n"


def _typed(line: SpokenLine) -> str:
    later = "".join(
        f"<{webvtt_time(start)}><c> {word}</c>" for word, start in zip(line.words[1:], line.starts_us[1:], strict=True)
    )
    return line.words[0] + later


def _cue(start_us: int, end_us: int, upper: str, lower: str) -> str:
    return f"{webvtt_time(start_us)} --> {webvtt_time(end_us)} {_SETTINGS}\n{upper}\n{lower}\n"
