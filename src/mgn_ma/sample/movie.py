"""One video's mp4: H.264 and AAC written with PyAV, pictures and sound interleaved as they play."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from mgn_ma.sample.picture import Planes, planes
from mgn_ma.sample.process import Signal
from mgn_ma.sample.script import VideoPlan
from mgn_ma.sample.sound import waveform

_ROTATION_DEGREES = 90
# Encoded any coarser, or predicted from both sides, a single frame tells by its blur how fast it moves. The macroblock
# tree's AVX-512 code gives other bits from one encoding of the same pictures to the next.
_VIDEO_OPTIONS = {"preset": "veryfast", "crf": "14", "bf": "0", "threads": "1", "x264-params": "mbtree=0"}
_AUDIO_BIT_RATE = 64_000
_VARIABLE_TIME_BASE = Fraction(1, 1000)


def write_movie(plan: VideoPlan, signals: Mapping[str, Signal], path: Path) -> None:
    """Render the video of a plan to ``path``; the same plan gives the same bytes with the same FFmpeg."""
    times, time_base = presentation_times(plan)
    seconds = np.asarray(times * float(time_base), dtype=np.float64)
    pix_fmt = pixel_format(plan)
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = _video_stream(container, plan, time_base, pix_fmt)
        sound = _Sound(container, plan, signals) if "no_audio" not in plan.quirks else None
        step = 1 if pix_fmt == "yuv444p" else 2
        for pts, second, picture in zip(
            times.tolist(), seconds.tolist(), planes(plan, signals, seconds, chroma_step=step), strict=True
        ):
            frame = _frame(picture, pix_fmt, rotated="rotated" in plan.quirks)
            frame.pts, frame.time_base = pts, time_base
            container.mux(video.encode(frame))
            if sound is not None:
                sound.encode_until(second)
        container.mux(video.encode(None))
        if sound is not None:
            sound.finish()


def pixel_format(plan: VideoPlan) -> str:
    """4:2:0 needs even sizes, so that an odd one has 4:4:4."""
    return "yuv444p" if "odd_size" in plan.quirks else "yuv420p"


def presentation_times(plan: VideoPlan) -> tuple[npt.NDArray[np.int64], Fraction]:
    """Times of the frames in units of a time base: a regular grid, or where the rate varies a phone's uneven one."""
    rate = Fraction(*plan.frame_rate)
    if "variable_rate" not in plan.quirks:
        return np.arange(int(Fraction(plan.duration_us, 1_000_000) * rate)), 1 / rate
    random = plan.random("frame times")
    gaps = np.rint(1000 / float(rate) * random.choice([0.6, 1.0, 1.0, 1.0, 1.7, 3.0], int(plan.seconds * float(rate))))
    times = np.concatenate([[0], np.cumsum(gaps)]).astype(np.int64)
    return times[times < plan.duration_us // 1000 - 40], _VARIABLE_TIME_BASE


def _video_stream(
    container: av.container.OutputContainer, plan: VideoPlan, time_base: Fraction, pix_fmt: str
) -> av.VideoStream:
    stream = container.add_stream("libx264", rate=Fraction(*plan.frame_rate), options=_VIDEO_OPTIONS)
    stream.width, stream.height = plan.width, plan.height
    if "rotated" in plan.quirks:
        stream.width, stream.height = plan.height, plan.width
        stream.set_display_rotation(_ROTATION_DEGREES)
    stream.pix_fmt = pix_fmt
    stream.time_base = stream.codec_context.time_base = time_base
    return stream


def _frame(picture: Planes, pix_fmt: str, *, rotated: bool) -> av.VideoFrame:
    if rotated:
        picture = tuple(np.rot90(plane, -1) for plane in picture)  # type: ignore[assignment]
    height, width = picture[0].shape
    frame = av.VideoFrame(width, height, pix_fmt)
    for target, plane in zip(frame.planes, picture, strict=True):
        rows = np.frombuffer(memoryview(target), np.uint8).reshape(target.height, target.line_size)
        rows[:, : target.width] = plane
    return frame


class _Sound:
    """The audio stream of a container, encoded up to where the pictures are."""

    def __init__(self, container: av.container.OutputContainer, plan: VideoPlan, signals: Mapping[str, Signal]) -> None:
        self._container = container
        self._layout = "mono" if plan.channels == 1 else "stereo"
        self._samples = waveform(plan, signals)
        self._rate = plan.sample_rate
        self._stream = container.add_stream("aac", rate=plan.sample_rate, layout=self._layout)
        self._stream.bit_rate = _AUDIO_BIT_RATE * plan.channels
        self._n_encoded = 0

    def encode_until(self, seconds: float) -> None:
        """Encode whole seconds of samples that lie before ``seconds``."""
        while (self._n_encoded + self._rate) / self._rate <= seconds:
            self._encode(self._samples[self._n_encoded : self._n_encoded + self._rate])

    def finish(self) -> None:
        """Encode what is left and flush."""
        self._encode(self._samples[self._n_encoded :])
        self._container.mux(self._stream.encode(None))

    def _encode(self, samples: npt.NDArray[np.float32]) -> None:
        if not len(samples):
            return
        channels = np.ascontiguousarray(np.broadcast_to(samples, (1 if self._layout == "mono" else 2, len(samples))))
        frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout=self._layout)
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._n_encoded
        self._container.mux(self._stream.encode(frame))
        self._n_encoded += len(samples)
