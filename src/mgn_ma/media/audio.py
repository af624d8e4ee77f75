"""The sound of a video as a stream of mono samples whose first one is at t = 0."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soxr

from mgn_ma.media.clock import PresentationClock
from mgn_ma.media.container import (
    MICROSECONDS,
    WITHOUT_PRESENTATION_TIMES,
    audio_stream,
    decode_packet,
    open_container,
    readable_packets,
    span,
    timeline_zero,
)
from mgn_ma.media.errors import AudioError

Samples = npt.NDArray[np.float32]

# Container timestamps are rounded (Matroska: to the millisecond); only what is clearly more is a gap or an overlap.
_TOLERANCE_SECONDS = Fraction(1, 20)

_MISCOUNTED_CHANNELS = 8
"""From so many planes on PyAV reads past the last one."""


def iter_audio(path: str, sample_rate: int = 16_000) -> Iterator[Samples]:
    """Yield consecutive blocks of mono samples, (N,) float32 nominally in [-1, 1]; sample i is at i / sample_rate.

    Channels are averaged. A stream that starts after t = 0 is preceded by silence, and gaps of more than 50 ms (also
    where packets are damaged) are filled with it, so that a sample's index always tells its time. Blocks have any
    length. Memory doesn't depend on the length of the audio.

    Resampling is soxr's "HQ": on tones its error lies 10 to 35 dB below that of FFmpeg's resampler, a tone just above
    the new band leaves 110 dB less behind, and it is faster (``docs/media.md``, ``benchmarks/decode.py``).

    Args:
        path: local path or fsspec URL.
        sample_rate: of the samples given, in Hz.

    Raises:
        AudioError: if the file has no audio stream, or nothing of it can be decoded.
        MediaError: if the file can't be opened.
    """
    with open_container(path) as container:
        stream = audio_stream(container, path)
        clock = PresentationClock(timeline_zero(container), Fraction(1024, stream.rate or sample_rate))
        mono_stream = _MonoStream(sample_rate)
        counted = container.format.name in WITHOUT_PRESENTATION_TIMES
        for packet in readable_packets(container, stream):
            for frame in decode_packet(stream, packet):
                time = span(frame)[0] if mono_stream.is_empty or not counted else None
                time_us = clock.place(time, Fraction(frame.samples, frame.sample_rate))
                if time_us is not None:
                    yield from mono_stream.blocks(mono(frame), frame.sample_rate, time_us)
        if mono_stream.is_empty:
            raise AudioError(path, "nothing of its audio can be decoded")
        yield mono_stream.end()


class _MonoStream:
    """An unbroken stream of mono samples at one rate, made from pieces with a rate and a time each."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._resampler: soxr.ResampleStream | None = None
        self._rate = 0
        self._n_in = 0
        self._n_out = 0

    @property
    def is_empty(self) -> bool:
        return self._resampler is None

    def blocks(self, samples: Samples, rate: int, time_us: int) -> Iterator[Samples]:
        """What can be given once ``samples`` at ``time_us`` follow; silence or a cut comes before them where needed."""
        starts = self._resampler is None
        if rate != self._rate:
            yield from self._change_rate(rate)
        missing = round(Fraction(time_us * rate, MICROSECONDS)) - self._n_in
        if starts or abs(missing) > _TOLERANCE_SECONDS * rate:
            for start in range(0, missing, rate):
                yield self._resample(np.zeros(min(rate, missing - start), np.float32))
            samples = samples[max(0, -missing) :]
        yield self._resample(samples)

    def end(self) -> Samples:
        """What the resampler still holds."""
        return self._resample(np.zeros(0, np.float32), last=True)

    def _change_rate(self, rate: int) -> Iterator[Samples]:
        if self._resampler is not None:
            yield self.end()
        self._rate = rate
        self._n_in = round(Fraction(self._n_out * rate, self._sample_rate))
        self._resampler = soxr.ResampleStream(rate, self._sample_rate, 1, dtype="float32", quality="HQ")

    def _resample(self, samples: Samples, *, last: bool = False) -> Samples:
        assert self._resampler is not None  # noqa: S101 - set by the first block
        resampled: Samples = self._resampler.resample_chunk(samples, last=last)
        self._n_in += len(samples)
        self._n_out += len(resampled)
        return resampled


def _interleaved(frame: av.AudioFrame) -> av.AudioFrame:
    """The same samples in one plane."""
    packed = av.AudioResampler(frame.format.packed, frame.layout, frame.sample_rate)
    (converted,) = packed.resample(frame)
    return converted


def mono(frame: av.AudioFrame) -> Samples:
    """(N,) float32: the mean of a frame's channels, scaled to [-1, 1]."""
    if frame.format.is_planar and frame.layout.nb_channels >= _MISCOUNTED_CHANNELS:
        frame = _interleaved(frame)
    samples: npt.NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype.kind == "f":
        return np.asarray(samples.mean(axis=0), dtype=np.float32)
    middle, scale = (128.0, 128.0) if samples.dtype == np.uint8 else (0.0, 2.0 ** (8 * samples.dtype.itemsize - 1))
    return np.asarray((samples.mean(axis=0, dtype=np.float64) - middle) / scale, dtype=np.float32)
