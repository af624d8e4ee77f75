"""What a video file holds, found out without decoding more than its first frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer

from mgn_ma.media.clock import SPLICE_AHEAD, SPLICE_BACK, floor_us
from mgn_ma.media.container import (
    MICROSECONDS,
    WITHOUT_PRESENTATION_TIMES,
    audio_stream,
    decode_packet,
    open_container,
    readable_packets,
    timeline_zero,
    video_stream,
)
from mgn_ma.media.encryption import ENCRYPTED, is_encrypted
from mgn_ma.media.errors import AudioError, MediaError, VideoError
from mgn_ma.media.geometry import displayed_size, orientation

# Longer than any reordering of frames, so that the packet that ends last is among those read.
_TAIL_US = 5_000_000
_JOINED = frozenset({"mpegts", "mpeg"})
"""Formats whose files may be several joined end to end, each with a clock of its own; these are read whole."""


SPLICE_BACK_US, SPLICE_AHEAD_US = floor_us(SPLICE_BACK), floor_us(SPLICE_AHEAD)


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What is known of a video file.

    Attributes:
        duration_us: end of the last video frame in microseconds since t = 0.
        fps: average frames per second; 0.0 where unknown.
        width: of the frame as displayed (square pixels, upright).
        height: likewise.
        has_audio: whether there is an audio stream that can be decoded.
        audio_duration_us: end of the audio in microseconds since t = 0; 0 without audio.
        truncated: the file ends before the time that its header promises.
    """

    duration_us: int
    fps: float
    width: int
    height: int
    has_audio: bool
    audio_duration_us: int
    truncated: bool


def probe(path: str) -> MediaInfo:
    """Look into a video file: read its header, decode its first frame, and find where its data end.

    Args:
        path: local path or fsspec URL.

    Raises:
        MediaError: if it can't be opened, has no video, or its first frames can't be decoded; the reason says which.
    """
    with open_container(path) as container:
        if is_encrypted(path):
            raise MediaError(path, ENCRYPTED)
        stream = video_stream(container, path)
        first = _first_frame(container, stream, path)
        try:
            audio: av.AudioStream | None = audio_stream(container, path)
        except AudioError:
            audio = None
        zero = timeline_zero(container)
        promised_us = _promised_end_us(container, stream, zero)
        rate = stream.average_rate or stream.guessed_rate or Fraction(0)
        frame_lengths = {stream.index: 1 / rate} if rate else {}
        ends = _data_ends(container, zero, frame_lengths)
        if stream.index not in ends:
            ends = _data_ends(container, zero, frame_lengths, whole=True)
        duration_us = ends.get(stream.index, promised_us)
        # A promise of the container is one of its longest stream, and may be the sound's.
        kept_us = duration_us if stream.duration is not None else max(ends.values(), default=duration_us)
        width, height = displayed_size(first.width, first.height, stream.sample_aspect_ratio or Fraction(1))
        _, quarter_turns = orientation(first)
        return MediaInfo(
            duration_us=duration_us,
            fps=float(rate),
            width=height if quarter_turns % 2 else width,
            height=width if quarter_turns % 2 else height,
            has_audio=audio is not None,
            audio_duration_us=0 if audio is None else ends.get(audio.index, _promised_end_us(container, audio, zero)),
            truncated=promised_us - kept_us > MICROSECONDS,
        )


def _first_frame(container: InputContainer, stream: av.VideoStream, path: str) -> av.VideoFrame:
    for packet in readable_packets(container, stream):
        for frame in decode_packet(stream, packet):
            return frame  # type: ignore[no-any-return]
    raise VideoError(path, "not one frame of its video can be decoded")


def _promised_end_us(container: InputContainer, stream: av.VideoStream | av.AudioStream, zero: Fraction) -> int:
    if stream.duration is not None and stream.time_base is not None:
        return floor_us((stream.duration + (stream.start_time or 0)) * stream.time_base - zero)
    if container.duration is not None:
        return int(container.duration)
    return 0


def _data_ends(
    container: InputContainer, zero: Fraction, frame_lengths: dict[int, Fraction], *, whole: bool = False
) -> dict[int, int]:
    """Where each stream's packets end, in microseconds; read over the last seconds, or from the start."""
    ends: dict[int, int] = {}
    joined = container.format.name in _JOINED
    tail_us = 0 if whole or joined else max(0, (container.duration or 0) - _TAIL_US)
    counted = container.format.name in WITHOUT_PRESENTATION_TIMES
    zeros: dict[int, Fraction] = {}
    try:
        container.seek(tail_us + (container.start_time or 0))
        for packet in container.demux():
            time = packet.dts if counted else packet.pts
            if time is None or packet.time_base is None or packet.is_discard:
                continue
            length = (
                packet.duration * packet.time_base if packet.duration else frame_lengths.get(packet.stream_index, 0)
            )
            index, last_us = packet.stream_index, ends.get(packet.stream_index, 0)
            end_us = floor_us(time * packet.time_base + length - zeros.get(index, zero))
            if joined and last_us and not -SPLICE_BACK_US < end_us - last_us < SPLICE_AHEAD_US:
                # Another clock: as in the decoder, the packet follows the last one at once.
                zeros[index] = time * packet.time_base - Fraction(last_us, MICROSECONDS)
                end_us = last_us + floor_us(Fraction(length))
            ends[index] = max(end_us, last_us)
    except av.FFmpegError:
        pass
    return ends
