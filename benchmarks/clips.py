"""Clips that benchmarks read: photographs in motion with grain and a noisy sound, H.264 at 30 fps and AAC."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import PIL.Image
from sklearn.datasets import load_sample_images

SIZES = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080)}
RATE = 30
SAMPLE_RATE = 44_100
_SOUND_BLOCK = 1024
_SECONDS_A_PHOTOGRAPH = 2.5


def render(path: Path, size: tuple[int, int], seconds: int, *, sound: bool = False) -> None:
    """Write a clip of the given (width, height) at CRF 23, a key frame every 5 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "medium", "crf": "23", "g": str(5 * RATE)}
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono") if sound else None
        for frame in pictures(size, seconds):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            for block in hiss(seconds):
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))


def pictures(size: tuple[int, int], seconds: int) -> Iterator[av.VideoFrame]:
    """The frames of a clip: a view that wanders over two photographs in turn."""
    width, height = size
    photographs = [
        np.asarray(PIL.Image.fromarray(image).resize((width * 3 // 2, height * 3 // 2), PIL.Image.Resampling.LANCZOS))
        for image in load_sample_images().images
    ]
    grain = np.random.default_rng(0).integers(-4, 5, (height, width, 1), dtype=np.int16)
    for k in range(seconds * RATE):
        left = int((np.sin(k / 40) / 2 + 0.5) * (width // 2 - 2))
        top = int((np.cos(k / 57) / 2 + 0.5) * (height // 2 - 2))
        photograph = photographs[int(k / RATE / _SECONDS_A_PHOTOGRAPH) % 2]
        view = photograph[top : top + height, left : left + width]
        noisy = np.clip(view + np.roll(grain, (k * 37, k * 61), (0, 1)), 0, 255).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(noisy, "rgb24")
        frame.pts, frame.time_base = k, Fraction(1, RATE)
        yield frame


def hiss(seconds: int) -> Iterator[av.AudioFrame]:
    """Noise whose loudness swells and ebbs, as blocks of sound."""
    random = np.random.default_rng(0)
    for start in range(0, seconds * SAMPLE_RATE, _SOUND_BLOCK):
        loudness = 0.1 * (1 + np.sin(np.arange(start, start + _SOUND_BLOCK) / SAMPLE_RATE))
        samples = (loudness * random.standard_normal(_SOUND_BLOCK)).astype(np.float32)
        block = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        yield block


def repeat(source: Path, target: Path, times: int) -> None:
    """The clip several times over, without encoding anything again; less than two seconds of nothing between them."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        streams = {stream.index: writer.add_stream_from_template(stream) for stream in reader.streams}
        packets = [(packet.stream.index, packet) for packet in reader.demux() if packet.size]
        seconds = reader.duration // av.time_base + 1
        for _ in range(times):
            for index, packet in packets:
                packet.stream = streams[index]
                writer.mux(packet)
                shift = int(seconds / packet.time_base)
                packet.pts += shift
                packet.dts += shift
