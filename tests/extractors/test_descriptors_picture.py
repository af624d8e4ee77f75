from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from mgn_ma.extractors.base import ExtractionError
from mgn_ma.extractors.descriptors.action import (
    FRAMES,
    STEP_US,
    ActionDescriptorConfig,
    ActionDescriptorExtractor,
    windows,
)
from mgn_ma.extractors.descriptors.image import ImageDescriptorConfig, ImageDescriptorExtractor, describe
from mgn_ma.extractors.descriptors.motion import N_GLOBAL, N_MOTION, motion
from mgn_ma.media.errors import MediaError
from mgn_ma.media.source import VideoSource

IMAGE = ImageDescriptorExtractor(ImageDescriptorConfig())
ACTION = ActionDescriptorExtractor(ActionDescriptorConfig())


@pytest.fixture(scope="module")
def clips() -> Any:
    sys.path.insert(0, str(Path(__file__).parents[1] / "media"))
    import media_clips

    return media_clips


def one(extractor: Any, path: Path, duration_us: int | None) -> Any:
    return extractor.extract(VideoSource("v", str(path), "digest", duration_us))


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (48, 64)) -> npt.NDArray[np.uint8]:
    return np.full((*size, 3), colour, dtype=np.uint8)


def texture(seed: int, size: tuple[int, int] = (48, 64)) -> npt.NDArray[np.float32]:
    pattern = gaussian_filter(np.random.default_rng(seed).normal(size=size), 2.5, mode="wrap")
    return (0.5 + 0.15 * pattern / pattern.std()).astype(np.float32)


def test_a_plain_picture_has_one_colour_and_no_edge() -> None:
    (vector,) = describe(plain((255, 128, 0))[None])
    assert vector.shape == (IMAGE.width,)
    histogram, means, deviations = vector[:64], vector[64:67], vector[67:70]
    assert np.flatnonzero(histogram).tolist() == [3 * 16 + 2 * 4 + 0]
    assert histogram.max() == 1.0
    np.testing.assert_allclose(means, [1.0, 128 / 255, 0.0], atol=2e-5)
    np.testing.assert_allclose(deviations, 0.0, atol=2e-5)
    luma = 0.299 + 0.587 * 128 / 255
    np.testing.assert_allclose(vector[70:75], luma, atol=2e-5)
    np.testing.assert_allclose(vector[75:77], [1.0, 0.0], atol=2e-5)
    np.testing.assert_allclose(vector[77:87], 0.0, atol=2e-5)
    np.testing.assert_allclose(vector[87:114].reshape(9, 3), np.tile([1.0, 128 / 255, 0.0], (9, 1)), atol=2e-5)
    np.testing.assert_allclose(vector[114:], 0.0, atol=1e-3)


def test_stripes_are_edges_of_one_orientation_and_the_layout_tells_where_they_are() -> None:
    picture = plain((40, 40, 40))
    picture[:, 44:64:8] = 220
    (upright,) = describe(picture[None])
    (lying,) = describe(np.rot90(picture)[None].copy())
    assert upright[77:85].argmax() == 0
    assert lying[77:85].argmax() == 4
    assert upright[77] > 0.99
    edges = upright[123:132].reshape(3, 3)
    assert (edges[:, 2] > 0.09).all()
    assert (edges[:, 0] == 0).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(7, 40), width=st.integers(7, 40))
def test_cells_are_those_of_a_loop(seed: int, height: int, width: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    (vector,) = describe(frame[None])
    rgb = frame / 255.0
    luma = rgb @ [0.299, 0.587, 0.114]
    means, deviations = [], []
    for row in range(3):
        for column in range(3):
            rows = slice(row * height // 3, (row + 1) * height // 3)
            columns = slice(column * width // 3, (column + 1) * width // 3)
            means.append(rgb[rows, columns].mean(axis=(0, 1)))
            deviations.append(luma[rows, columns].std())
    np.testing.assert_allclose(vector[87:114].reshape(9, 3), means, atol=1e-4)
    np.testing.assert_allclose(vector[114:123], deviations, atol=2e-3)


def test_frames_of_a_batch_do_not_see_each_other() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 20, 30, 3), dtype=np.uint8)
    np.testing.assert_allclose(describe(frames), np.concatenate([describe(f[None]) for f in frames]), atol=2e-5)


def test_a_row_holds_until_the_next_time_of_the_grid(clips: Any, tmp_path: Path) -> None:
    path = clips.Clip(n_frames=60, rate=30).write(tmp_path / "clip.mp4")
    rows = one(IMAGE, path, 2_000_000)
    assert rows.timestamps_us.tolist() == [k * 1_000_000 // 6 for k in range(12)]
    assert rows.ends_us.tolist() == [k * 1_000_000 // 6 for k in range(1, 13)]
    assert rows.vectors.shape == (12, IMAGE.width)
    # Each numbered frame is another picture: frames 0, 4 (at 166666 us the fifth is not yet shown), 9, …
    assert len(np.unique(rows.vectors, axis=0)) == 12


def test_what_is_shown_is_described_and_not_its_size(clips: Any, tmp_path: Path) -> None:
    small = clips.Clip(n_frames=12, rate=12, size=(64, 48)).write(tmp_path / "small.mp4")
    large = clips.Clip(n_frames=12, rate=12, size=(512, 384)).write(tmp_path / "large.mp4")
    first, second = one(IMAGE, small, 1_000_000).vectors, one(IMAGE, large, 1_000_000).vectors
    assert np.abs(first - second).mean() < 0.02


@pytest.mark.parametrize("extractor", [IMAGE, ACTION])
def test_a_video_of_one_frame_and_one_of_unknown_length(extractor: Any, clips: Any, tmp_path: Path) -> None:
    single = clips.Clip(n_frames=1, rate=25).write(tmp_path / "single.mp4")
    assert len(one(extractor, single, 40_000)) == 1
    clip = clips.Clip(n_frames=25, rate=25).write(tmp_path / "clip.mp4")
    assert len(one(extractor, clip, None)) == 6


@pytest.mark.parametrize("extractor", [IMAGE, ACTION])
def test_what_is_no_video_is_an_error(extractor: Any, clips: Any, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("these are not the bytes you are looking for")
    silent = clips.Clip(video=False, audio=np.zeros(48_000, np.float32)).write(tmp_path / "audio.mp4")
    for path, reason in ((tmp_path / "text.mp4", "no video file"), (silent, "no video stream")):
        with pytest.raises(MediaError, match=reason):
            one(extractor, path, 1_000_000)
    with pytest.raises(ExtractionError, match="no video file"):
        extractor.extract(VideoSource("nowhere", None, None, 1_000_000))


@pytest.mark.parametrize(("right", "down"), [(0, 0), (1, 0), (0, -2), (2, 1), (-1, -1)])
def test_motion_finds_how_a_texture_drifts(right: int, down: int) -> None:
    pattern = texture(1)
    luma = np.stack([np.roll(pattern, (k * down, k * right), axis=(0, 1)) for k in range(5)])
    steps = motion(luma)
    assert steps.shape == (4, N_MOTION)
    np.testing.assert_allclose(steps[:, 3:5] * 48, np.tile([right, down], (4, 1)), atol=0.2)
    np.testing.assert_allclose(steps[:, 5] * 48, np.hypot(right, down), atol=0.2)
    flow = np.median(steps[:, N_GLOBAL + 16 :].reshape(4, 16, 2) * 48, axis=1)
    np.testing.assert_allclose(flow, np.tile([right, down], (4, 1)), atol=0.45)


def test_motion_finds_less_than_a_pixel() -> None:
    pattern = texture(2, (192, 256))
    shifted = [np.roll(pattern, (k, 2 * k), axis=(0, 1)) for k in range(4)]
    luma = np.stack([s.reshape(48, 4, 64, 4).mean(axis=(1, 3)) for s in shifted])
    steps = motion(luma)
    np.testing.assert_allclose(steps[:, 3:5] * 48, np.tile([0.5, 0.25], (3, 1)), atol=0.12)


def test_directions_tell_where_it_goes() -> None:
    pattern = texture(3)
    down = motion(np.stack([np.roll(pattern, k, axis=0) for k in range(3)]))
    left = motion(np.stack([np.roll(pattern, -k, axis=1) for k in range(3)]))
    assert down[0, 8:16].argmax() == 2
    assert left[0, 8:16].argmax() == 4


def test_a_still_picture_has_no_motion_whatever_it_shows() -> None:
    for luma in (texture(4), np.zeros((48, 64), np.float32), np.ones((48, 64), np.float32)):
        np.testing.assert_allclose(motion(np.stack([luma] * 4))[:, [0, 1, 2, 3, 4, 5, 7]], 0.0, atol=1e-5)
        np.testing.assert_allclose(motion(np.stack([luma] * 4))[:, 8:], 0.0, atol=1e-4)


def test_a_picture_that_becomes_brighter_moves_as_it_would_in_even_light() -> None:
    pattern = texture(5) / 2
    luma = np.stack([np.roll(pattern, k, axis=1) for k in range(5)])
    light = np.array([0.0, 0.3, 0.1, 0.1, 0.5], np.float32)[:, None, None]
    np.testing.assert_allclose(motion(luma + light), motion(luma), atol=1e-4)


def slow_window(steps: npt.NDArray[np.float32], timestamp_us: int) -> npt.NDArray[np.float64]:
    """One clip by its definition: 32 frames, those beyond the ends repeated, so that nothing moves between them."""
    first = round_half_up(timestamp_us, STEP_US) - FRAMES // 2
    clip = [steps[k] if 0 <= k < len(steps) else np.zeros(N_MOTION) for k in range(first, first + FRAMES - 1)]
    clip = np.array(clip, dtype=np.float64)
    whole, blocks = clip[:, :N_GLOBAL], clip[:, N_GLOBAL : N_GLOBAL + 16]
    flow = clip[:, N_GLOBAL + 16 :].reshape(-1, 16, 2)
    net, gross = np.hypot(*flow.mean(axis=0).T), np.hypot(flow[..., 0], flow[..., 1]).mean(axis=0)
    parts = [clip.mean(axis=0), whole.std(axis=0), whole[:10].mean(axis=0), whole[10:21].mean(axis=0)]
    return np.concatenate([*parts, whole[21:].mean(axis=0), blocks.std(axis=0), net / np.maximum(gross, 1e-4)])


def round_half_up(value: int, unit: int) -> int:
    return (2 * value + unit) // (2 * unit)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n_steps=st.integers(1, 90))
def test_shared_steps_give_the_same_windows_as_one_clip_at_a_time(seed: int, n_steps: int) -> None:
    steps = np.random.default_rng(seed).normal(size=(n_steps - 1, N_MOTION)).astype(np.float32)
    timestamps = np.arange(0, n_steps * 6 // 10 + 1, dtype=np.int64) * 1_000_000 // 6
    expected = [slow_window(steps, int(t)) for t in timestamps]
    found = windows(steps, timestamps)
    assert found.shape == (len(timestamps), ACTION.width)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def moving_clip(clips: Any, speed: Any, seed: int, n_frames: int) -> Any:
    pattern = texture(seed, (96, 128))
    travelled = np.cumsum([speed(k) for k in range(n_frames)])

    def picture(k: int) -> npt.NDArray[np.uint8]:
        luma = np.roll(pattern, round(float(travelled[k])), axis=1)
        return np.repeat((luma.clip(0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)

    options = {"crf": "12"}
    return clips.Clip(n_frames=n_frames, rate=30, size=(128, 96), picture=picture, options=options)


def test_action_follows_speed_and_does_not_know_the_picture(clips: Any, tmp_path: Path) -> None:
    """Two pictures, both slow and then fast: what moves is told, and when, and not what it is."""
    found = []
    for seed in (5, 6):
        clip = moving_clip(clips, lambda k: 0.2 if k < 90 else 1.0, seed, 180).write(tmp_path / f"{seed}.mp4")
        rows = one(ACTION, clip, 6_000_000)
        assert len(rows) == 36
        speed = rows.vectors[:, 7] * 48
        found.append(speed)
        assert speed[26:30].mean() > 3 * speed[8:12].mean()
        early, late = rows.vectors[18, [64 + 16 + 7, 64 + 48 + 7]]
        assert late > 3 * early
    np.testing.assert_allclose(found[0][10:26], found[1][10:26], rtol=0.25)


def test_long_videos_are_the_same_in_one_run_or_several(clips: Any, tmp_path: Path, monkeypatch: Any) -> None:
    clip = moving_clip(clips, lambda k: 0.7, 7, 240).write(tmp_path / "clip.mp4")
    whole = one(ACTION, clip, 8_000_000).vectors
    monkeypatch.setattr("mgn_ma.extractors.descriptors.action.CHUNK", 7)
    np.testing.assert_allclose(one(ACTION, clip, 8_000_000).vectors, whole, atol=2e-5)
