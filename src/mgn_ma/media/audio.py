"""The sound of a video as a stream of mono samples whose first one is at t = 0."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import soxr
from av.container import InputContainer

from mgn_ma.media.container import audio_stream, decode_packet, open_container, readable_packets, timeline_zero
from mgn_ma.media.errors import AudioError

Samples = npt.NDArray[np.float32]

# Container timestamps are rounded (Matroska: to the millisecond); only what is clearly more is a gap or an overlap.
_GAP_SECONDS = Fraction(1, 20)


def iter_audio(path: str, sample_rate: int = 16_000) -> Iterator[Samples]:
    """Yield consecutive blocks of mono samples, (N,) float32 nominally in [-1, 1]; sample i is at i / sample_rate.

    Channels are averaged. A stream that starts after t = 0 is preceded by silence, and gaps of more than 50 ms are
    filled with it, so that a sample's index always tells its time. Blocks have any length.

    Args:
        path: local path or fsspec URL.
        sample_rate: of the samples given, in Hz.

    Raises:
        AudioError: if the file has no audio stream, or nothing of it can be decoded.
        MediaError: if the file can't be opened.
    """
    resampler: soxr.ResampleStream | None = None
    rate = 0
    position = 0
    with open_container(path) as container:
        stream = audio_stream(container, path)
        zero = timeline_zero(container)
        for frame in _frames(container, stream):
            if resampler is None:
                rate = frame.sample_rate
                resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
            samples = mono(frame)
            if frame.pts is not None and frame.time_base is not None:
                expected = round((frame.pts * frame.time_base - zero) * rate)
                gap = expected - position
                if position == 0 or abs(gap) > _GAP_SECONDS * rate:
                    samples = np.concatenate([np.zeros(max(gap, 0), np.float32), samples[max(-gap, 0) :]])
            position += len(samples)
            yield resampler.resample_chunk(samples)
        if resampler is None:
            raise AudioError(path, "nothing of its audio can be decoded")
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def mono(frame: av.AudioFrame) -> Samples:
    """(N,) float32: the mean of a frame's channels, scaled to [-1, 1]."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        return ((samples.astype(np.float32) - 128) / 128).mean(axis=0, dtype=np.float32)
    if np.issubdtype(samples.dtype, np.integer):
        scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
        return (samples.mean(axis=0, dtype=np.float64) / scale).astype(np.float32)
    return samples.mean(axis=0, dtype=np.float32)


def _frames(container: InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    for packet in readable_packets(container, stream):
        yield from decode_packet(stream, packet)
