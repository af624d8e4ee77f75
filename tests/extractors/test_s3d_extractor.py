"""Action features of videos: which frames a window is made of, which rows there are, and what an odd video does."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from mgn_ma.extractors.base import ExtractionError, TrackRows
from mgn_ma.extractors.pretrained import Pretrained
from mgn_ma.extractors.registry import build, parse_config
from mgn_ma.extractors.s3d import extractor as extractor_module
from mgn_ma.extractors.s3d.config import S3DConfig
from mgn_ma.extractors.s3d.extractor import GEOMETRY, S3DExtractor, window_starts
from mgn_ma.extractors.s3d.network import S3D
from mgn_ma.media.errors import MediaError
from mgn_ma.media.source import VideoSource
from mgn_ma.media.video import iter_frames_at

RANDOM = Pretrained(random=0)
LEVELS = 8
"""Grey levels of the clips' frames in turn; far enough apart to survive coding."""


def level(frame: int) -> int:
    return 16 + 28 * (frame % LEVELS)


def write_clip(path: Path, n_frames: int, rate: int = 10, size: tuple[int, int] = (64, 48)) -> VideoSource:
    """A clip whose frame k is all of one grey level."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "4"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for k in range(n_frames):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), level(k), np.uint8), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return VideoSource(path.stem, video_path=str(path), duration_us=n_frames * 1_000_000 // rate)


class SeenFrames:
    """Stands in for the network: the vector of a window is the mean grey of each of its 32 frames, and its start."""

    def __init__(self, network: S3D, *, batch_size: int, **_: Any) -> None:
        self._batch_size = batch_size

    def vectors(self, frames: Iterable[npt.NDArray[np.uint8]], starts: Iterable[int]) -> Iterator[Tensor]:
        remaining = iter(frames)
        seen: list[float] = []
        batch: list[list[float]] = []
        for start in starts:
            for frame in itertools.islice(remaining, start + 32 - len(seen)):
                assert frame.shape == (224, 224, 3)
                seen.append(float(frame.mean()))
            if len(seen) < start + 32:
                break
            batch.append(seen[start : start + 32])
            if len(batch) == self._batch_size:
                yield torch.tensor(batch)
                batch = []
        if batch:
            yield torch.tensor(batch)


@pytest.fixture
def seeing(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(extractor_module, "DenseS3D", SeenFrames)

    def make(**settings: Any) -> S3DExtractor:
        return S3DExtractor(S3DConfig(pretrained=RANDOM, device="cpu", **settings))

    return make


def rows_of(extractor: S3DExtractor, video: VideoSource) -> TrackRows:
    rows = extractor.extract(video)
    assert isinstance(rows, TrackRows)
    return rows


def expected_levels(row: int, n_frames: int, edge: str = "repeat") -> list[int]:
    """By the definition: 32 grid frames, of which the 17th is the one nearest to t; nearest ones beyond the ends."""
    middle = round(Fraction(row * 10, 6))
    window = range(middle - 16, middle + 16)
    if edge == "zeros":
        return [level(k) if 0 <= k < n_frames else 0 for k in window]
    return [level(min(max(k, 0), n_frames - 1)) for k in window]


@pytest.mark.parametrize("edge", ["repeat", "zeros"])
@pytest.mark.parametrize("n_frames", [1, 2, 7, 31, 50])
def test_windows_are_centred_and_edges_filled(seeing: Any, tmp_path: Path, n_frames: int, edge: str) -> None:
    rows = rows_of(seeing(edge=edge), write_clip(tmp_path / "clip.mp4", n_frames))
    assert len(rows) == -(-n_frames * 6 // 10)
    for row, greys in enumerate(rows.vectors):
        np.testing.assert_allclose(greys, expected_levels(row, n_frames, edge), atol=6, err_msg=f"row {row}")


def test_rows_hold_from_one_grid_timestamp_to_the_next(seeing: Any, tmp_path: Path) -> None:
    rows = rows_of(seeing(), write_clip(tmp_path / "clip.mp4", 10))
    assert rows.timestamps_us.tolist() == [0, 166_666, 333_333, 500_000, 666_666, 833_333]
    assert rows.ends_us.tolist() == [166_666, 333_333, 500_000, 666_666, 833_333, 1_000_000]
    assert rows.timestamps_us.dtype == rows.ends_us.dtype == np.int64


@pytest.mark.parametrize("rate", [5, 24, 30, 60])
def test_frames_are_those_shown_at_10_hz_whatever_the_frame_rate(seeing: Any, tmp_path: Path, rate: int) -> None:
    n_frames = 3 * rate
    rows = rows_of(seeing(), write_clip(tmp_path / "clip.mp4", n_frames, rate))
    assert len(rows) == 18
    grid = [level(min(max(k, 0), 29) * rate // 10) for k in range(-16, 46)]
    for row, greys in enumerate(rows.vectors):
        start = round(Fraction(row * 10, 6))
        np.testing.assert_allclose(greys, grid[start : start + 32], atol=6, err_msg=f"row {row}")


@pytest.mark.parametrize("stride", [1, 3])
def test_an_unknown_duration_is_looked_up(seeing: Any, tmp_path: Path, stride: int) -> None:
    known = write_clip(tmp_path / "clip.mp4", 23)
    a, b = (rows_of(seeing(stride=stride), clip) for clip in (known, replace(known, duration_us=None)))
    assert np.array_equal(a.vectors, b.vectors)


@pytest.mark.parametrize("stride", [1, 3])
def test_rows_end_where_the_video_does_even_if_its_header_says_more(seeing: Any, tmp_path: Path, stride: int) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 23)
    rows = rows_of(seeing(stride=stride), replace(clip, duration_us=60_000_000))
    assert np.array_equal(rows.vectors, rows_of(seeing(stride=stride), clip).vectors)


@pytest.mark.parametrize("stride", [2, 3, 7, 100])
@pytest.mark.parametrize("n_frames", [1, 2, 7, 31, 50])
def test_with_a_stride_rows_between_windows_lie_on_straight_lines(
    seeing: Any, tmp_path: Path, n_frames: int, stride: int
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", n_frames)
    every, strided = rows_of(seeing(), clip), rows_of(seeing(stride=stride), clip)
    assert np.array_equal(strided.timestamps_us, every.timestamps_us)
    assert np.array_equal(strided.vectors[::stride], every.vectors[::stride])
    assert strided.vectors.dtype == np.float32
    rows = np.arange(len(every))
    # NumPy holds the last one beyond it, too.
    on_lines = [np.interp(rows, rows[::stride], column[::stride]) for column in every.vectors.T]
    np.testing.assert_allclose(strided.vectors, np.transpose(on_lines), rtol=1e-6)


def test_a_shorter_duration_cuts_the_video(seeing: Any, tmp_path: Path) -> None:
    rows = rows_of(seeing(), replace(write_clip(tmp_path / "clip.mp4", 50), duration_us=2_000_000))
    assert len(rows) == 12
    np.testing.assert_allclose(rows.vectors[11], expected_levels(11, 20), atol=6)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"video_path": "gone.mp4"}, "no such file"),
        ({"video_path": __file__}, "is no video file"),
        ({"video_path": None}, "there is no video file"),
        ({"duration_us": 0}, "its video shows no frame"),
    ],
)
def test_a_video_without_frames_is_an_error_and_leaves_no_thread(
    seeing: Any, tmp_path: Path, changes: dict[str, Any], error: str
) -> None:
    extractor, good = seeing(batch_size=2), write_clip(tmp_path / "clip.mp4", 12)
    before = rows_of(extractor, good)
    with pytest.raises((ExtractionError, MediaError), match=error):
        extractor.extract(replace(good, **changes))
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]
    assert np.array_equal(rows_of(extractor, good).vectors, before.vectors)


@given(st.integers(0, 10**8))
def test_windows_start_at_the_grid_frame_nearest_to_t(duration_us: int) -> None:
    starts = list(itertools.islice(window_starts(duration_us), 1000))
    assert len(starts) == min(1000, -(-duration_us * 6 // 10**6))
    assert all(later > earlier for earlier, later in itertools.pairwise(starts))
    assert all(abs(start * 100_000 - row * 1_000_000 / 6) <= 33_334 for row, start in enumerate(starts))


def test_settings_and_fingerprint() -> None:
    config = S3DConfig(pretrained=RANDOM)
    assert config.fingerprint() == S3DConfig(pretrained=RANDOM, batch_size=9, device="cpu").fingerprint()
    changed = [
        S3DConfig(pretrained=Pretrained(random=1)),
        S3DConfig(pretrained=RANDOM, edge="zeros"),
        S3DConfig(pretrained=RANDOM, precision="bfloat16"),
        S3DConfig(pretrained=RANDOM, stride=3),
    ]
    assert len({config.fingerprint(), *(other.fingerprint() for other in changed)}) == 5
    # Of before there was a stride: such tracks need not be made again.
    assert config.fingerprint().startswith("122707cff1c724bb")
    with pytest.raises(ValidationError):
        S3DConfig(pretrained=RANDOM, edge="mirror")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        S3DConfig(pretrained=RANDOM, stride=0)


def test_the_configuration_imports_no_torch() -> None:
    code = "import sys; from mgn_ma.extractors.s3d.config import S3DConfig; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_the_real_network_through_the_registry(tmp_path: Path) -> None:
    config = parse_config("s3d", {"pretrained": {"random": 0}, "device": "cpu", "batch_size": 2})
    assert isinstance(config, S3DConfig)
    extractor = build(config)
    assert (extractor.width, extractor.clock) == (512, "grid")
    clip = write_clip(tmp_path / "clip.mp4", 4)
    rows = extractor.extract(clip)
    assert isinstance(rows, TrackRows)
    assert rows.vectors.shape == (3, 512)
    assert rows.vectors.dtype == np.float32
    shown = [image for _, image in iter_frames_at(str(clip.video_path), range(0, 400_000, 100_000), GEOMETRY)]
    window = [shown[min(max(k, 0), 3)] for k in range(2 - 16, 2 + 16)]  # 166.7 ms is nearest to the third frame
    video = torch.from_numpy(np.stack(window)).permute(3, 0, 1, 2)[None].float() / 255
    with torch.inference_mode():
        expected = config.load()(video)[0].numpy()
    assert np.linalg.norm(rows.vectors[1] - expected) <= 1e-5 * np.linalg.norm(expected)
    assert np.linalg.norm(rows.vectors[1] - rows.vectors[0]) > 1e-3 * np.linalg.norm(expected)
