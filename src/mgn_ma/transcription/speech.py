"""From a video's sound to cues, whoever recognises the speech: pieces of bounded length, and times of presentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mgn_ma.media.audio import Samples, iter_audio
from mgn_ma.media.subtitles import Cue

PIECE_SECONDS = 300
CUT_SECONDS = 30
"""A piece of sound is cut at the quietest moment of its last seconds: memory doesn't depend on a video's length."""
FRAME_SECONDS = 0.1
SILENCE = 1e-3
"""No speech is quieter at its loudest: -60 dB."""
PAUSE_SECONDS = 2.0
"""A longer silence is not listened to: Whisper has speech begin with the window of 30 s that it is heard in."""
MARGIN_SECONDS = 0.5

LEAST_US = 20_000


@dataclass(frozen=True, slots=True)
class Segment:
    """What is said in a piece of sound, in seconds from its start."""

    start_s: float
    end_s: float
    text: str


Recognise: TypeAlias = Callable[[Samples], Sequence[Segment]]
"""Samples at 16 kHz to what is said in them."""
SAMPLE_RATE = 16_000


def transcribe(path: str, recognise: Recognise) -> list[Cue]:
    """What is said in a video, in presentation time; empty where nothing is.

    Args:
        path: of the video.
        recognise: hears a piece of sound.

    Raises:
        NoAudioError: it has no sound.
        MediaError: it can't be read.
    """
    cues = []
    for first, samples in audible_pieces(iter_audio(path, SAMPLE_RATE)):
        start_us, length_us = _microseconds(first / SAMPLE_RATE), _microseconds(len(samples) / SAMPLE_RATE)
        for segment in recognise(samples):
            if text := " ".join(segment.text.split()):
                # A timestamp may lie in the silence that fills a window up.
                begin_us = min(_microseconds(segment.start_s), length_us - LEAST_US)
                end_us = max(min(_microseconds(segment.end_s), length_us), begin_us + LEAST_US)
                cues.append(Cue(start_us + begin_us, start_us + end_us, text))
    return sorted(cues, key=lambda cue: cue.start_us)


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)


def audible_pieces(blocks: Iterable[Samples], rate: int = SAMPLE_RATE) -> Iterator[tuple[int, Samples]]:
    """Each piece of sound between two silences, and the index of its first sample.

    Args:
        blocks: consecutive, of any length.
        rate: of the samples.
    """
    gathered: list[Samples] = []
    first = n_gathered = 0
    for block in blocks:
        gathered.append(block)
        n_gathered += len(block)
        while n_gathered >= PIECE_SECONDS * rate:
            whole = np.concatenate(gathered)
            cut = _quietest(whole[: PIECE_SECONDS * rate], rate)
            yield from _audible(first, whole[:cut], rate)
            gathered, first, n_gathered = [whole[cut:]], first + cut, n_gathered - cut
    if gathered:
        yield from _audible(first, np.concatenate(gathered), rate)


def _quietest(samples: Samples, rate: int) -> int:
    """Where to cut: the middle of the quietest frame of the last seconds."""
    frame = round(FRAME_SECONDS * rate)
    start = len(samples) - CUT_SECONDS * rate
    frames = samples[start : start + CUT_SECONDS * rate // frame * frame].reshape(-1, frame)
    loudness = np.square(frames).sum(axis=1)
    return start + int(loudness.argmin()) * frame + frame // 2


def _audible(first: int, samples: Samples, rate: int) -> Iterator[tuple[int, Samples]]:
    heard = np.flatnonzero(np.abs(samples) > SILENCE)
    if not len(heard):
        return
    pauses = np.flatnonzero(np.diff(heard) > PAUSE_SECONDS * rate)
    margin = round(MARGIN_SECONDS * rate)
    for begin, end in zip(heard[np.r_[0, pauses + 1]], heard[np.r_[pauses, -1]], strict=True):
        start = max(0, int(begin) - margin)
        yield first + start, samples[start : int(end) + margin + 1]
