"""The frames of a video that are shown at given times, decoded as a stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import TypeVar

import av
import numpy as np
import numpy.typing as npt
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from mgn_ma.media.clock import PresentationClock
from mgn_ma.media.container import (
    WITHOUT_PRESENTATION_TIMES,
    decode_packet,
    open_container,
    readable_packets,
    span,
    timeline_zero,
    video_stream,
)
from mgn_ma.media.errors import VideoError
from mgn_ma.media.geometry import FrameGeometry, Framer, Image
from mgn_ma.media.selection import AnyPacket, PacketSelector

_DEFAULT_RATE = Fraction(25)
_INDEXED_BY_TIME = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
_SKIPS_EXACTLY = frozenset({"h264", "hevc"})

Made = TypeVar("Made")


def iter_frames_at(
    path: str, timestamps_us: Iterable[int], geometry: FrameGeometry, *, threads: int = 0
) -> Iterator[tuple[int, Image]]:
    """Yield, for each timestamp, the frame that is shown then.

    That is the last frame whose presentation time is <= t. Before the first frame it is the first one; at and after the
    end of the last one nothing is shown, and nothing is yielded. t = 0 is where the earliest stream of the container
    starts. Timestamps that show the same frame get the same array object: don't write into it.

    Memory doesn't depend on the length of the video, and only what the wanted frames need is decoded. What can't be
    decoded isn't shown: an earlier frame stays, as in players. A file that was cut short gives what it still holds.

    Args:
        path: local path or fsspec URL.
        timestamps_us: ascending microseconds of presentation time.
        geometry: shape of the arrays, (H, W, 3) uint8 RGB.
        threads: of the decoder; 0 lets FFmpeg take one a core.

    Raises:
        VideoError: if the file has no video stream, or no frame of it can be decoded.
        MediaError: if the file can't be opened.
        ValueError: if the timestamps don't ascend.
    """
    yield from iter_shown(path, timestamps_us, lambda aspect: Framer(geometry, aspect).array, threads=threads)


def iter_shown(
    path: str,
    timestamps_us: Iterable[int],
    framer: Callable[[Fraction | None], Callable[[av.VideoFrame], Made]],
    *,
    threads: int = 0,
    hwaccel: HWAccel | None = None,
) -> Iterator[tuple[int, Made]]:
    """:func:`iter_frames_at`, whatever is made of a frame and wherever it is decoded.

    Args:
        path: local path or fsspec URL.
        timestamps_us: ascending microseconds of presentation time.
        framer: a stream's sample aspect ratio to what turns a frame into what is yielded.
        threads: of the decoder; 0 lets FFmpeg take one a core.
        hwaccel: what decodes where it can; ``None`` for the CPU.

    Raises:
        VideoError: if the file has no video stream, or no frame of it can be decoded.
        MediaError: if the file can't be opened.
        ValueError: if the timestamps don't ascend.
    """
    wanted_us = np.fromiter(timestamps_us, dtype=np.int64)
    if np.any(np.diff(wanted_us) < 0):
        raise ValueError(f"{path}: timestamps must ascend")
    with open_container(path, hwaccel) as container:
        stream = video_stream(container, path)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        clock = _clock(container, stream)
        make = framer(stream.sample_aspect_ratio)
        yield from _shown_at(wanted_us, _decode(container, stream, wanted_us, clock), clock, make, path)


def _shown_at(
    wanted_us: npt.NDArray[np.int64],
    frames: Iterator[av.VideoFrame],
    clock: PresentationClock,
    make: Callable[[av.VideoFrame], Made],
    path: str,
) -> Iterator[tuple[int, Made]]:
    times = wanted_us.tolist()
    position = 0
    shown: av.VideoFrame | None = None
    for frame in frames:
        time_us = clock.place(*span(frame))
        if time_us is None:
            continue
        if shown is not None and position < len(times) and times[position] < time_us:
            made = make(shown)
            while position < len(times) and times[position] < time_us:
                yield times[position], made
                position += 1
        shown = frame
        if position == len(times):
            return
    if shown is None:
        if times:
            raise VideoError(path, "not one frame of its video can be decoded")
        return
    if times[position] < clock.end_us:
        made = make(shown)
        while position < len(times) and times[position] < clock.end_us:
            yield times[position], made
            position += 1


def _clock(container: InputContainer, stream: av.VideoStream) -> PresentationClock:
    rate = stream.average_rate or stream.guessed_rate or _DEFAULT_RATE
    return PresentationClock(timeline_zero(container), 1 / rate)


def _decode(
    container: InputContainer, stream: av.VideoStream, wanted_us: npt.NDArray[np.int64], clock: PresentationClock
) -> Iterator[av.VideoFrame]:
    """Decode what the wanted frames need, or everything where presentation times can't be told from packets."""
    packets = readable_packets(container, stream)
    if container.format.name not in _INDEXED_BY_TIME:
        decode = _decode_in_order if container.format.name in WITHOUT_PRESENTATION_TIMES else _decode_all
        yield from decode(stream, packets)
        return

    def time_us(packet: AnyPacket) -> int | None:
        time = _packet_time(packet)
        return None if time is None else clock.time_us(time)

    context = stream.codec_context
    may_skip = context.name in _SKIPS_EXACTLY
    for choice in PacketSelector(wanted_us, time_us).select(packets):
        if choice.after_gap:
            yield from decode_packet(stream, None)
            context.flush_buffers()
            clock.skip_to(_packet_time(choice.packet))
        context.skip_frame = "NONREF" if may_skip and not choice.wanted else "DEFAULT"
        yield from decode_packet(stream, choice.packet)
    yield from decode_packet(stream, None)


def _decode_all(stream: av.VideoStream, packets: Iterable[AnyPacket]) -> Iterator[av.VideoFrame]:
    for packet in packets:
        yield from decode_packet(stream, packet)


def _decode_in_order(stream: av.VideoStream, packets: Iterable[AnyPacket]) -> Iterator[av.VideoFrame]:
    """Frames with the times at which their file has them decoded, in that order; what was dropped leaves a gap there.

    A packet that gives no frame because it is damaged takes its time with it.
    """
    times: deque[int | None] = deque()
    for packet in packets:
        if packet.size:
            times.append(packet.dts)
        for frame in decode_packet(stream, packet):
            frame.pts = times.popleft() if times else None
            yield frame


def _packet_time(packet: AnyPacket) -> Fraction | None:
    return None if packet.pts is None else packet.pts * packet.time_base
