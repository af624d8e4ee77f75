"""What a decoder finds in a rendered video: each signal in its own modality only, and files as awkward as promised.

Most tests intervene: they render the same video with one signal low and high, and look at what that changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from mgn_ma.media.audio import iter_audio
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.probe import probe
from mgn_ma.media.video import iter_frames_at
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.movie import write_movie
from mgn_ma.sample.process import Signal, SlowSignal
from mgn_ma.sample.script import VideoPlan, write_script
from mgn_ma.sample.world import SIGNALS, THEMES, Quirk

LOW, HIGH = 0.15, 0.85

PLAN = replace(
    write_script(SampleConfig(awkward=False))[0],
    duration_us=4_000_000,
    frame_rate=(25, 1),
    width=160,
    height=120,
    sample_rate=16_000,
)

Image = npt.NDArray[np.float64]


def _held(**given: float) -> dict[str, Signal]:
    def held_at(value: float) -> Signal:
        return lambda seconds: np.full(np.shape(seconds), value)

    return {name: held_at(given.get(name, 0.5)) for name in SIGNALS}


def _render(folder: Path, plan: VideoPlan, signals: Mapping[str, Signal]) -> str:
    path = folder / f"{len(list(folder.iterdir()))}.mp4"
    write_movie(plan, signals, path)
    return str(path)


def _luma(path: str, step_us: int = 100_000) -> Image:
    """(F, H, W) luma of the frames shown every 100 ms."""
    times = range(0, probe(path).duration_us, step_us)
    rgb = np.stack([image for _, image in iter_frames_at(path, times, FrameGeometry(kind="centre_square", size=96))])
    return rgb @ np.array([0.299, 0.587, 0.114])


def _of_single_frames(luma: Image) -> dict[str, float]:
    edges = (np.abs(np.diff(luma, axis=1)).mean(), np.abs(np.diff(luma, axis=2)).mean())
    quantiles = {
        f"quantile {q}": float(np.quantile(luma, q, axis=(1, 2)).mean()) for q in (0.05, 0.25, 0.5, 0.75, 0.95)
    }
    contrast = float(luma.std(axis=(1, 2)).mean())
    return {"mean": float(luma.mean()), "contrast": contrast, "edges": float(np.mean(edges)), **quantiles}


def _motion(luma: Image) -> float:
    return float(np.abs(np.diff(luma, axis=0)).mean())


def _hiss_db(path: str) -> npt.NDArray[np.float64]:
    """Level from 2.2 to 5 kHz in every patch of 0.96 s."""
    samples = np.concatenate(list(iter_audio(path)))
    patches = samples[: len(samples) // 15_360 * 15_360].reshape(-1, 15_360)
    spectrum = np.abs(np.fft.rfft(patches)) ** 2
    frequencies = np.fft.rfftfreq(15_360, 1 / 16_000)
    return np.asarray(10 * np.log10(spectrum[:, (frequencies > 2_200) & (frequencies < 5_000)].mean(axis=1)))


@pytest.fixture(scope="module")
def pair_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """For each signal the same video with it low and high, the others in the middle."""
    folder = tmp_path_factory.mktemp("pairs")
    return {
        name: (_render(folder, PLAN, _held(**{name: LOW})), _render(folder, PLAN, _held(**{name: HIGH})))
        for name in ("image", "audio", "action")
    }


def test_the_image_signal_shows_in_every_frame(pair_of: dict[str, tuple[str, str]]) -> None:
    low, high = (_luma(path) for path in pair_of["image"])
    assert low.mean(axis=(1, 2)).max() + 8 < high.mean(axis=(1, 2)).min()
    assert high.std(axis=(1, 2)).mean() == pytest.approx(low.std(axis=(1, 2)).mean(), rel=0.02), "and in nothing else"


def test_the_action_signal_shows_in_motion_and_in_no_single_frame(pair_of: dict[str, tuple[str, str]]) -> None:
    slow, fast = (_luma(path) for path in pair_of["action"])
    assert _motion(fast) > 2 * _motion(slow)
    slow_frames, fast_frames = _of_single_frames(slow), _of_single_frames(fast)
    dark_frames, bright_frames = (_of_single_frames(_luma(path)) for path in pair_of["image"])
    for name, value in slow_frames.items():
        by_image = abs(bright_frames[name] - dark_frames[name])
        assert abs(fast_frames[name] - value) < max(0.02 * value, 0.1 * by_image), name


def test_the_image_signal_does_not_show_in_motion(pair_of: dict[str, tuple[str, str]]) -> None:
    dark, bright = (_motion(_luma(path)) for path in pair_of["image"])
    slow, fast = (_motion(_luma(path)) for path in pair_of["action"])
    assert abs(bright - dark) < 0.1 * (fast - slow)


def test_the_audio_signal_is_a_louder_hiss_and_nothing_else(pair_of: dict[str, tuple[str, str]]) -> None:
    low, high = (_hiss_db(path) for path in pair_of["audio"])
    np.testing.assert_allclose(high - low, 30 * (HIGH - LOW), atol=2.5)
    np.testing.assert_array_equal(*(_luma(path) for path in pair_of["audio"]))
    for name in ("image", "action"):
        np.testing.assert_array_equal(*(_hiss_db(path) for path in pair_of[name]))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_slow_signals_can_be_read_off_the_file(seed: int, tmp_path: Path) -> None:
    plan = replace(write_script(SampleConfig(awkward=False, seed=seed))[seed], duration_us=24_000_000)
    # Signals that swing once and a half over the video, each at its own pace, so that none stands in for another.
    signals = {name: SlowSignal((1 / (12 + 3 * i),), (1.7 * i,)) for i, name in enumerate(SIGNALS)}
    path = _render(tmp_path, plan, signals)
    luma = _luma(path)
    seconds = np.arange(len(luma)) / 10

    def correlation(values: npt.ArrayLike, name: str, times: npt.NDArray[np.float64]) -> float:
        return float(np.corrcoef(values, signals[name](times))[0, 1])

    assert correlation(luma.mean(axis=(1, 2)), "image", seconds) > 0.97
    steps = np.abs(np.diff(luma, axis=0)).mean(axis=(1, 2))
    over_clip = np.convolve(steps, np.full(31, 1 / 31), mode="valid")
    assert correlation(over_clip, "action", seconds[:-1][15:-15] + 0.05) > 0.9
    hiss = _hiss_db(path)
    assert correlation(hiss, "audio", (np.arange(len(hiss)) + 0.5) * 0.96) > 0.97


def test_the_theme_shows_in_most_scenes_and_not_in_luma(tmp_path: Path) -> None:
    fit = FrameGeometry(kind="fit", size=64)
    chroma, luma = [], []
    for theme in range(len(THEMES)):
        path = _render(tmp_path, replace(PLAN, picture_theme=theme, theme_share=1.0), _held())
        rgb = np.stack([image for _, image in iter_frames_at(path, range(0, 4_000_000, 500_000), fit)])
        chroma.append(rgb.mean(axis=(0, 1, 2)) - rgb.mean())
        luma.append(rgb @ np.array([0.299, 0.587, 0.114]))
    apart = [np.linalg.norm(a - b) for i, a in enumerate(chroma) for b in chroma[:i]]
    assert min(apart) > 15
    means = [values.mean() for values in luma]
    assert max(means) - min(means) < 2


@pytest.mark.parametrize(
    ("quirks", "size", "rate"),
    [
        (("no_audio",), (160, 120), (25, 1)),
        (("odd_size",), (161, 119), (24, 1)),
        (("variable_rate",), (160, 120), (30, 1)),
        (("rotated",), (108, 192), (25, 1)),
        ((), (192, 108), (30_000, 1_001)),
    ],
)
def test_awkward_files_are_as_long_and_as_large_as_planned(
    quirks: tuple[Quirk, ...], size: tuple[int, int], rate: tuple[int, int], tmp_path: Path
) -> None:
    plan = replace(PLAN, quirks=quirks, width=size[0], height=size[1], frame_rate=rate)
    path = _render(tmp_path, plan, _held())
    info = probe(path)
    assert (info.width, info.height) == size
    assert info.has_audio == ("no_audio" not in quirks)
    assert info.duration_us == pytest.approx(plan.duration_us, abs=200_000)
    gaps = _gaps(path)
    if "variable_rate" in quirks:
        assert len(set(gaps)) >= 3
        assert max(gaps) > 2.5 * min(gaps)
    else:
        assert set(gaps) == {1 / Fraction(*rate)}


def _gaps(path: str) -> list[Fraction]:
    with av.open(path) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]  # type: ignore[operator]
    return [later - earlier for earlier, later in pairwise(times)]


def test_a_rotated_file_stands_upright_when_it_is_shown(tmp_path: Path) -> None:
    plan = replace(PLAN, width=108, height=192)
    upright = _render(tmp_path, plan, _held())
    rotated = _render(tmp_path, replace(plan, quirks=("rotated",)), _held())
    with av.open(rotated) as container:
        stored = container.streams.video[0]
        assert (stored.width, stored.height) == (192, 108)
    fit = FrameGeometry(kind="fit", size=96)
    pairs: list[tuple[Any, Any]] = list(
        zip(
            iter_frames_at(upright, range(0, 3_000_000, 500_000), fit),
            iter_frames_at(rotated, range(0, 3_000_000, 500_000), fit),
            strict=True,
        )
    )
    for (_, expected), (_, found) in pairs:
        assert found.shape == expected.shape
        assert np.abs(found.astype(float) - expected).mean() < 4
        assert np.abs(found[::-1, ::-1].astype(float) - expected).mean() > 8, "the test would see it upside down"


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (_render(tmp_path, PLAN, _held()) for _ in range(2))
    assert Path(first).read_bytes() == Path(second).read_bytes()
