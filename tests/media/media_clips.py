"""Clips whose content is known: each frame spells its own number, each sound has a known shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

COLUMNS, ROWS = 4, 3
BLOCK = 16
WIDTH, HEIGHT = COLUMNS * BLOCK, ROWS * BLOCK
AUDIO_RATE = 48_000


def numbered(k: int, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """(H, W, 3): the 12 bits of k as black and white blocks, the lowest at the top left."""
    bits = np.array([(k >> bit) & 1 for bit in range(COLUMNS * ROWS)], np.uint8).reshape(ROWS, COLUMNS)
    rows = np.arange(height) * ROWS // height
    columns = np.arange(width) * COLUMNS // width
    return np.repeat((bits[np.ix_(rows, columns)] * 255)[:, :, None], 3, axis=2)


def number_of(image: Image) -> int:
    """The k of an upright, uncropped image of :func:`numbered`, at any scale."""
    height, width = image.shape[:2]
    centres = np.ix_(
        (2 * np.arange(ROWS) + 1) * height // (2 * ROWS), (2 * np.arange(COLUMNS) + 1) * width // (2 * COLUMNS)
    )
    bits = image.mean(axis=2)[centres].ravel() > 127
    return int(sum(1 << int(bit) for bit in np.flatnonzero(bits)))


@dataclass
class Clip:
    """How to write a clip; the frames are numbered unless ``picture`` draws others.

    ``pts`` are in ``time_base``; ``n_frames`` at ``rate`` is the simple case.
    """

    n_frames: int = 30
    rate: Fraction | int = 30
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    size: tuple[int, int] = (WIDTH, HEIGHT)
    options: dict[str, str] = field(default_factory=dict)
    container_format: str | None = None
    container_options: dict[str, str] = field(default_factory=dict)
    pts: Sequence[int] | None = None
    time_base: Fraction | None = None
    start: Fraction | int = 0
    picture: Callable[[int], Image | av.VideoFrame] | None = None
    video: bool = True
    prepare: Callable[[Any], None] = lambda stream: None
    audio: npt.NDArray[np.float32] | None = None
    audio_codec: str = "aac"
    audio_rate: int = AUDIO_RATE
    audio_layout: str = "mono"
    audio_start: Fraction | int = 0

    def write(self, path: Path) -> Path:
        """Write the clip; audio and video packets in turn, as players need them."""
        with av.open(str(path), "w", format=self.container_format, options=self.container_options) as container:
            packets: list[Any] = []
            video = self._add_video(container) if self.video else None
            audio = self._add_audio(container) if self.audio is not None else None
            if video is not None:
                packets += self._video_packets(video)
            if audio is not None:
                packets += self._audio_packets(audio)
            for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
                container.mux(packet)
        return path

    def _add_video(self, container: Any) -> Any:
        rate = Fraction(self.rate)
        stream = container.add_stream(self.codec, rate=rate)
        stream.width, stream.height = self.size
        stream.pix_fmt = self.pixel_format
        stream.options = (
            {"g": "10", "bf": "2", **self.options} if self.codec in ("libx264", "libx265") else self.options
        )
        stream.codec_context.time_base = self.time_base or 1 / rate
        self.prepare(stream)
        return stream

    def _video_packets(self, stream: Any) -> Iterable[Any]:
        time_base = self.time_base or 1 / Fraction(self.rate)
        pts = self.pts if self.pts is not None else range(self.n_frames)
        offset = int(Fraction(self.start) / time_base)
        for k, at in enumerate(pts):
            drawn = self.picture(k) if self.picture else numbered(k, *self.size)
            frame = drawn if isinstance(drawn, av.VideoFrame) else av.VideoFrame.from_ndarray(drawn, "rgb24")
            frame.pts, frame.time_base = at + offset, time_base
            yield from stream.encode(frame)
        yield from stream.encode(None)

    def _add_audio(self, container: Any) -> Any:
        stream = container.add_stream(self.audio_codec, rate=self.audio_rate)
        stream.layout = self.audio_layout
        return stream

    def _audio_packets(self, stream: Any) -> Iterable[Any]:
        samples = np.atleast_2d(np.asarray(self.audio, np.float32))
        offset = int(Fraction(self.audio_start) * self.audio_rate)
        for start in range(0, samples.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples[:, start : start + 1024]), format="fltp", layout=self.audio_layout
            )
            frame.sample_rate = self.audio_rate
            frame.pts, frame.time_base = start + offset, Fraction(1, self.audio_rate)
            yield from stream.encode(frame)
        yield from stream.encode(None)


def sine(seconds: float, hertz: float, rate: int = AUDIO_RATE, amplitude: float = 0.5) -> npt.NDArray[np.float32]:
    """(1, N) float32."""
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[None]


def expected_numbers(pts_us: Sequence[int], end_us: int, timestamps_us: Iterable[int]) -> list[tuple[int, int]]:
    """The rule, the slow way: (t, number of the frame shown at t) for the t at which any is."""
    shown = []
    for t in timestamps_us:
        if t >= end_us:
            continue
        earlier = [k for k, at in enumerate(pts_us) if at <= t]
        shown.append((int(t), earlier[-1] if earlier else 0))
    return shown


def repeated(source: Path, target: Path, times: int) -> Path:
    """A clip without sound several times over, without encoding anything again."""
    with av.open(str(source)) as reader:
        packets = [packet for packet in reader.demux(video=0) if packet.size]
        length = sum(packet.duration or 0 for packet in packets)
        with av.open(str(target), "w") as writer:
            stream = writer.add_stream_from_template(reader.streams.video[0])
            for _ in range(times):
                for packet in packets:
                    packet.stream = stream
                    writer.mux(packet)
                    packet.pts, packet.dts = (packet.pts or 0) + length, (packet.dts or 0) + length
    return target


def surround(path: Path) -> Path:
    """Sound of 7.1 channels: PyAV 18 reads past the planes of such a frame."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=48_000, layout="7.1")
        for k in range(20):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * k, np.uint8), "rgb24")
            picture.pts, picture.time_base = k, Fraction(1, 10)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        for k in range(96):
            block = av.AudioFrame(format="fltp", layout="7.1", samples=1024)
            for plane in list(block.planes)[:8]:
                plane.update(bytes(4 * 1024))
            block.sample_rate, block.pts, block.time_base = 48_000, 1024 * k, Fraction(1, 48_000)
            container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    return path


def bomb(path: Path, side: int = 9000) -> Path:
    """Half a megabyte whose frames take 243 megabytes each."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = side, side, "rgb24"
        picture = av.VideoFrame(side, side, "rgb24")
        picture.planes[0].update(bytes(picture.planes[0].buffer_size))
        for k in range(2):
            picture.pts, picture.time_base = k, Fraction(1)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    assert path.stat().st_size < 2**20
    return path
