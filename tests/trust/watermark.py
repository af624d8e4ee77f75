"""A video in which each frame, each piece of sound and each cue encode their own time; and extractors that read it.

The picture spells its frame's number in blocks that survive 4:2:0 and scaling, the sound is a tone that rises evenly,
and a cue's text names its times. The extractors give vectors of `WIDTH` numbers that float16 holds: see `spelt`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from media_clips import Clip, number_of

from mgn_ma.extractors.base import Extractor, ExtractorConfig, TrackRows
from mgn_ma.extractors.reading import grid_rows, path_and_duration
from mgn_ma.extractors.texts import timed_texts
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.media.audio import iter_audio
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.source import VideoSource
from mgn_ma.media.video import iter_frames_at

WIDTH = 2
LOW_HZ, HZ_A_SECOND = 400.0, 800.0
RATE = 16_000
PATCH = 15_360
CUE_US = 700_000
SECONDS = 4
_DIGIT = 1024


def spelt(numbers: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """(N,) numbers from 0 to a million, such as times in ms, as (N, 2) that float16 holds to 1/2."""
    high, low = np.divmod(np.asarray(numbers, np.float64), _DIGIT)
    return np.stack([high, low], axis=1).astype(np.float32)


def read(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The numbers of `spelt`."""
    return vectors.astype(np.float64) @ [_DIGIT, 1]


@dataclass(frozen=True)
class Combination:
    """A container, a codec and a frame rate.

    Attributes:
        clip: how the video is written; without sound.
        suffix: of the file.
        sound: codec of the audio.
    """

    clip: Clip
    suffix: str
    sound: str

    def write(self, folder: Path, video_id: str) -> Path:
        """The video with its captions."""
        seconds = SECONDS - float(self.clip.audio_start)
        times = np.arange(round(seconds * 48_000)) / 48_000 + float(self.clip.audio_start)
        chirp = 0.5 * np.sin(2 * np.pi * (LOW_HZ * times + HZ_A_SECOND * times**2 / 2))
        path = folder / f"{video_id}.{self.suffix}"
        replace(self.clip, audio=chirp.astype(np.float32)[None], audio_codec=self.sound, size=(128, 96)).write(path)
        cues = (
            f"{_clock(at)} --> {_clock(at + CUE_US)}\n{at // 1000} to {(at + CUE_US) // 1000}"
            for at in range(0, SECONDS * 1_000_000, CUE_US)
        )
        path.with_suffix(".en.vtt").write_text("WEBVTT\n\n" + "\n\n".join(cues))
        return path

    @property
    def frame_times_us(self) -> npt.NDArray[np.float64]:
        """(N + 1,) when each frame is first shown, and when the last one no longer is."""
        time_base = self.clip.time_base or 1 / Fraction(self.clip.rate)
        numbers = self.clip.pts if self.clip.pts is not None else range(self.clip.n_frames)
        times = [float(number * time_base) for number in numbers]
        return np.array([*times, times[-1] + times[-1] - times[-2]]) * 1e6


def constant(rate: Fraction | int, codec: str, container: str, suffix: str, sound: str, **more: object) -> Combination:
    clip = Clip(n_frames=round(SECONDS * rate), rate=rate, codec=codec, container_format=container, **more)
    return Combination(clip, suffix, sound)


def _uneven(n_frames: int) -> Sequence[int]:
    """Times in ms of frames that stand for 20 to 120 ms each; of the last one nobody can tell."""
    return [0, *np.cumsum([*np.random.default_rng(0).integers(20, 120, n_frames - 2), 40]).tolist()]


NTSC = 1001
COMBINATIONS = {
    "h264 in mp4 at 30": constant(30, "libx264", "mp4", "mp4", "aac"),
    "h264 in mp4 at 23.976, sound from 0.48 s": constant(
        Fraction(24_000, NTSC), "libx264", "mp4", "mp4", "aac", audio_start=Fraction(12, 25)
    ),
    "vp9 in webm at 50": constant(50, "libvpx-vp9", "webm", "webm", "libopus"),
    "h264 in mpegts at 29.97": constant(Fraction(30_000, NTSC), "libx264", "mpegts", "mp4", "aac"),
    "mpeg4 in avi at 25": constant(25, "mpeg4", "avi", "mp4", "ac3"),
    "h264 in matroska, uneven": Combination(
        Clip(pts=_uneven(55), time_base=Fraction(1, 1000), codec="libx264", container_format="matroska"), "mkv", "aac"
    ),
    "h265 in mp4 at 24": constant(24, "libx265", "mp4", "mp4", "ac3", options={"x265-params": "log-level=none"}),
    "h264 in fragmented mp4 at 59.94": constant(
        Fraction(60_000, NTSC),
        "libx264",
        "mp4",
        "mp4",
        "aac",
        container_options={"movflags": "frag_keyframe+delay_moov"},
    ),
    "vp8 in webm at 12.5": constant(Fraction(25, 2), "libvpx", "webm", "webm", "libopus"),
    "mpeg2 in mpegts at 25, sound from 0.2 s": constant(
        25, "mpeg2video", "mpegts", "mkv", "mp2", audio_start=Fraction(1, 5)
    ),
    "h264 in mov at 10": constant(10, "libx264", "mov", "mp4", "pcm_s16le"),
    "mpeg4 in matroska at 60": constant(60, "mpeg4", "matroska", "mkv", "flac"),
}


class PictureNumber(Extractor):
    """The number that is spelt by the frame shown at each time of the grid, (N, 2)."""

    width = WIDTH
    clock = "grid"

    def __init__(self, config: ExtractorConfig) -> None:
        self._geometry = FrameGeometry(kind="fit", size=64)

    def extract(self, video: VideoSource) -> TrackRows:
        path, duration_us = path_and_duration(video)
        shown = dict(iter_frames_at(path, grid_timestamps_us(duration_us), self._geometry))
        return grid_rows(np.array(list(shown)), spelt([number_of(image) for image in shown.values()]))


class SoundTime(Extractor):
    """When, in tenths of a millisecond, the middle of each 960 ms of sound says that it is, (N, 2)."""

    width = WIDTH
    clock = "patches"

    def __init__(self, config: ExtractorConfig) -> None:
        self._window = np.hanning(PATCH)
        self._hertz = np.fft.rfftfreq(PATCH, 1 / RATE)

    def extract(self, video: VideoSource) -> TrackRows:
        times = np.array([self._time(patch) for patch in _patches(iter_audio(video.video_path, RATE))])
        starts = np.arange(len(times), dtype=np.int64) * (PATCH * 1_000_000 // RATE)
        return TrackRows(starts, starts + PATCH * 1_000_000 // RATE, spelt(10_000 * times))

    def _time(self, patch: npt.NDArray[np.float32]) -> float:
        """Of a tone that rises evenly the mean of the spectrum is the pitch in the middle."""
        power = np.abs(np.fft.rfft(patch * self._window)) ** 2
        power[self._hertz < LOW_HZ / 2] = 0
        return (float(power @ self._hertz / power.sum()) - LOW_HZ) / HZ_A_SECOND


class CueStart(Extractor):
    """When, in milliseconds, each cue says that it begins, (N, 2)."""

    width = WIDTH
    clock = "cues"

    def __init__(self, config: ExtractorConfig) -> None:
        pass

    def extract(self, video: VideoSource) -> TrackRows:
        starts, ends, texts = timed_texts(video, "captions")
        return TrackRows(starts, ends, spelt([int(text.split()[0]) for text in texts]))


def _patches(blocks: Iterator[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.float32]]:
    samples = np.concatenate(list(blocks))
    yield from samples[: len(samples) // PATCH * PATCH].reshape(-1, PATCH)


def _clock(time_us: int) -> str:
    seconds, rest = divmod(time_us, 1_000_000)
    return f"00:00:{seconds:02}.{rest // 1000:03}"
