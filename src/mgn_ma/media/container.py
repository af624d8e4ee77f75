"""Opening a media container, and where its time begins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import fsspec
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.frame import Frame
from av.stream import Disposition

from mgn_ma.media.encryption import ENCRYPTED, is_encrypted
from mgn_ma.media.errors import AudioError, MediaError, NoAudioError, VideoError

MICROSECONDS = 1_000_000

# Containers only. FFmpeg also opens playlists and scripts, which make a "video" read other files or the network.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,flv,avi,ogg,asf,wav,mp3,aac,flac"

_HEAD_BYTES = 1 << 20

NO_DECODER = "is in a format for which there is no decoder here"

WITHOUT_PRESENTATION_TIMES = frozenset({"avi"})
"""Formats that store frames in decoding order, so that the times of decoding are what is known."""


@contextmanager
def open_container(path: str, hwaccel: HWAccel | None = None) -> Iterator[InputContainer]:
    """Open a media container for reading.

    Args:
        path: local path or fsspec URL (``s3://…``), which is then read through fsspec.
        hwaccel: what decodes its video streams where it can; ``None`` for the CPU.

    Raises:
        MediaError: if it isn't there, is empty, or is no media container; the reason says which. While the container is
            open: its disk or store fails, which says nothing of where the file ends.
    """
    with ExitStack() as stack:
        source = _source(path, stack)
        try:
            container = av.open(
                source, "r", options={"format_whitelist": _FORMATS}, metadata_errors="replace", hwaccel=hwaccel
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MediaError(path, _open_reason(path, error), transient=isinstance(error, OSError)) from error
        try:
            yield stack.enter_context(container)
        except OSError as error:
            if isinstance(error, av.FFmpegError):
                raise
            raise MediaError(path, f"can't be read: {error.strerror or error}", transient=True) from error


def _source(path: str, stack: ExitStack) -> IO[bytes]:
    """The file, opened here: FFmpeg would take an error of its disk for its end."""
    try:
        if "://" in path:
            file: IO[bytes] = stack.enter_context(fsspec.open(path, "rb"))
            return file
        return stack.enter_context(_local(path).open("rb", buffering=0))
    except OSError as error:
        raise MediaError(path, f"can't be read: {error.strerror or error}", transient=True) from error


def _local(path: str) -> Path:
    local = Path(path)
    if local.is_dir():
        raise MediaError(path, "is a directory, not a file")
    if not local.exists():
        raise MediaError(path, "no such file", transient=True)
    if not local.is_file():
        raise MediaError(path, "is no regular file")
    if not os.access(local, os.R_OK):
        raise MediaError(path, "can't be read: permission denied", transient=True)
    if local.stat().st_size == 0:
        raise MediaError(path, "is empty (zero bytes)")
    return local


def _open_reason(path: str, error: Exception) -> str:
    # The latter for formats that FFmpeg knows and we don't open.
    if isinstance(error, av.InvalidDataError | av.ArgumentError):
        head = _head(path)
        if is_encrypted(path):
            return ENCRYPTED
        if b"ftyp" in head[:12] and b"moov" in head:
            return "is an MP4 whose index (moov) is damaged"
        if b"ftyp" in head[:12]:
            return "is an incomplete MP4: its index (moov) is missing, so the download or the recording was cut short"
        return "is no video file in a format that is read here, or is damaged at its start"
    return f"can't be opened: {error}"


def _head(path: str) -> bytes:
    try:
        with fsspec.open(path, "rb") as file:
            return bytes(file.read(_HEAD_BYTES))
    except OSError:
        return b""


def video_stream(container: InputContainer, path: str) -> av.VideoStream:
    """The stream that a player would show; cover pictures don't count.

    Raises:
        VideoError: if there is none, or none that can be decoded.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise VideoError(path, "has no video stream")
    stream: av.VideoStream = _decodable(streams, container.streams.best("video"), VideoError(path, NO_DECODER))
    return stream


def audio_stream(container: InputContainer, path: str) -> av.AudioStream:
    """The audio stream that a player would play.

    Raises:
        NoAudioError: if there is none.
        AudioError: if there is none that can be decoded.
    """
    streams = list(container.streams.audio)
    if not streams:
        raise NoAudioError(path, "has no audio stream")
    stream: av.AudioStream = _decodable(streams, container.streams.best("audio"), AudioError(path, NO_DECODER))
    return stream


def _decodable(streams: list[Any], best: Any, error: MediaError) -> Any:
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if not decodable:
        raise error
    return best if best in decodable else decodable[0]


def timeline_zero(container: InputContainer) -> Fraction:
    """Container time, in seconds, of t = 0: the earliest start of its audio and video streams, as in players.

    What an edit list or a codec's priming discards isn't presented, so it doesn't count. Subtitle and data streams and
    cover pictures don't count either.
    """
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.type in ("video", "audio")
        and not stream.disposition & Disposition.attached_pic
        and stream.start_time is not None
        and stream.time_base is not None
    ]
    return min(starts, default=Fraction(0))


def readable_packets(container: InputContainer, *streams: av.VideoStream | av.AudioStream) -> Iterator[Any]:
    """The packets of some streams, up to where the file ends or can't be read any further."""
    packets = container.demux(streams)
    while True:
        try:
            yield next(packets)
        except MemoryError:  # says nothing of the file; PyAV's is an FFmpegError, too
            raise
        except (StopIteration, av.FFmpegError):
            # An OSError that isn't FFmpeg's comes from a disk or store that fails: see `open_container`.
            return


def decode_packet(stream: Any, packet: Any) -> list[Any]:
    """The frames that a packet (``None``: the end) completes; none if it is damaged."""
    try:
        frames: list[Any] = stream.decode(packet)
    except MemoryError:
        raise
    except av.FFmpegError:
        return []
    for frame in frames:
        # Those that only the end brings out have none.
        frame.time_base = stream.time_base
    return frames


def span(frame: Frame) -> tuple[Fraction | None, Fraction | None]:
    """(time, length) of a decoded frame in container time, in seconds; ``None`` for what it doesn't tell."""
    time_base = frame.time_base
    if time_base is None:
        return None, None
    time = None if frame.pts is None else frame.pts * time_base
    return time, frame.duration * time_base if frame.duration > 0 else None
