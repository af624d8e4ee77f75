"""A short video whose every frame and sample is known."""

from __future__ import annotations

import av
import numpy as np
import pytest

from mgn_ma.media.source import VideoSource


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 6, 8, 3), dtype=np.uint8)
    return list(coarse.repeat(8, axis=1).repeat(8, axis=2))


@pytest.fixture(scope="session")
def short_video(tmp_path_factory: pytest.TempPathFactory, pictures: list[np.ndarray]) -> VideoSource:
    """Two seconds of 48 x 64 at 6 Hz, losslessly, with a tone that rises."""
    path = tmp_path_factory.mktemp("video") / "v.mov"
    t = np.arange(96_000) / 48_000
    tone = np.asarray(0.3 * np.sin(2 * np.pi * (200 * t + 150 * t**2)), np.float32)
    with av.open(str(path), "w") as container:
        seen, heard = container.add_stream("png", rate=6), container.add_stream("pcm_f32le", rate=48_000)
        seen.height, seen.width, seen.pix_fmt = 48, 64, "rgb24"
        heard.layout = "mono"
        for picture in pictures:
            container.mux(seen.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(seen.encode(None))
        for start in range(0, len(tone), 1024):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="flt", layout="mono")
            frame.sample_rate, frame.pts = 48_000, start
            container.mux(heard.encode(frame))
        container.mux(heard.encode(None))
    captions = path.with_suffix(".en.vtt")
    captions.write_text("WEBVTT\n\n00:00:00.100 --> 00:00:01.900\nwhat a surprise\n")
    return VideoSource(
        "v",
        video_path=str(path),
        has_audio=True,
        duration_us=2_000_000,
        captions_path=str(captions),
        title="A tone that rises",
    )
