"""Windows: each frame once, the same cuts for everybody, and predictions that don't depend on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mgn_ma.eev.targets import Targets
from mgn_ma.grid import grid_time
from mgn_ma.models.config import MGNMAConfig, TemporalConfig
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.models.sequences import Sequences
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.gather import Batch
from mgn_ma.training.predict import Predictions, predict
from mgn_ma.training.windows import TrainingWindows, Windows, grid_steps, prediction_windows

SMALL: dict[str, Any] = {"width": 8, "heads": 2, "levels": 2, "span_s": 1.0, "window_s": 10.0, "overlap_s": 4.0}
KINDS = ["none", "fir", "tcn", "gru", "transformer"]

VIDEOS = st.lists(st.sets(st.integers(0, 300), min_size=1, max_size=80), min_size=1, max_size=4)


def frames_of(videos: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Timestamps and offsets of videos, given by the steps that they have frames at."""
    times = np.concatenate([grid_time(np.array(sorted(steps), dtype=np.int64)) for steps in videos])
    return times, np.append(0, np.cumsum([len(steps) for steps in videos]))


def temporal(kind: str, **changes: Any) -> TemporalConfig:
    return TemporalConfig.model_validate({"kind": kind, **SMALL, **changes})


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@given(videos=VIDEOS, batch_frames=st.integers(1, 200))
def test_every_frame_is_kept_once_in_order(kind: str, causal: bool, videos: list[Any], batch_frames: int) -> None:
    times, offsets = frames_of(videos)
    config = temporal(kind, causal=causal)
    groups = prediction_windows(config, times, offsets, batch_frames)
    assert np.array_equal(np.concatenate([group.frames[group.kept] for group in groups]), np.arange(len(times)))
    before, after = config.context_steps
    for group in groups:
        if kind == "none":
            assert len(group.frames) <= batch_frames
            continue
        for start, end, first, last in zip(group.starts, group.ends, group.kept_starts, group.kept_ends, strict=True):
            video = np.searchsorted(offsets, first, side="right") - 1
            assert offsets[video] <= start <= first < last <= end <= offsets[video + 1]
            steps = np.asarray(times * 6 / 1e6 + 0.5, dtype=np.int64)
            read = set(range(start, end))
            for frame in range(offsets[video], offsets[video + 1]):
                # A filter and convolutions get all that they look at.
                if kind in ("fir", "tcn") and steps[first] - before <= steps[frame] <= steps[last - 1] + after:
                    assert frame in read


def network(config: TemporalConfig) -> MGNMA:
    torch.manual_seed(0)
    model = MGNMA(MGNMAConfig(modalities={"image": 3}, classes=5, hidden=8, temporal=config)).eval()
    for name, weights in model.named_parameters():
        if name.endswith("scores"):
            torch.nn.init.normal_(weights, std=0.1)
    return model


def predicted(
    model: MGNMA, image: torch.Tensor, times: np.ndarray, offsets: np.ndarray, **settings: Any
) -> Predictions:
    def gather(cuts: Any) -> Any:
        for frames in cuts:
            present = torch.ones(len(frames), dtype=torch.bool)
            yield Batch({"image": image[frames]}, {"image": present}, None, frames)

    targets = Targets(names=tuple("abcde"))
    return predict(model, gather, times, offsets, targets, **settings)


def pictures(times: np.ndarray) -> torch.Tensor:
    return torch.randn(len(times), 3, generator=torch.Generator().manual_seed(1))


VIDEO = [*range(4, 100), *range(107, 260), *range(400, 700)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_video_is_predicted_the_same_in_any_company_and_in_pieces(kind: str, causal: bool) -> None:
    times, offsets = frames_of([range(50), VIDEO, range(90, 340)])
    image = pictures(times)
    model = network(temporal(kind, causal=causal))
    whole = predicted(model, image, times, offsets).values
    alone = slice(*offsets[1:3])
    for batch_frames in (30, 333, 4096):
        found = predicted(model, image[alone], times[alone], np.array([0, len(VIDEO)]), batch_frames=batch_frames)
        np.testing.assert_allclose(found.values, whole[alone], atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["fir", "tcn"])
def test_windows_change_nothing_for_what_looks_no_further(kind: str, causal: bool) -> None:
    times, offsets = frames_of([VIDEO])
    image = pictures(times)
    model = network(temporal(kind, causal=causal))
    with torch.inference_mode():
        sequences = Sequences.from_steps(offsets, np.array(VIDEO))
        at_once = model({"image": image}, None, sequences).probabilities.numpy()
    np.testing.assert_allclose(predicted(model, image, times, offsets, batch_frames=50).values, at_once, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_causal_predicts_a_growing_video_as_the_whole(kind: str) -> None:
    times, offsets = frames_of([VIDEO])
    image = pictures(times)
    model = network(temporal(kind, causal=True))
    whole = predicted(model, image, times, offsets, batch_frames=60).values
    for n in (1, 59, 96, 97, 200, 400):
        grown = predicted(model, image[:n], times[:n], np.array([0, n]), batch_frames=60).values
        np.testing.assert_allclose(grown, whole[:n], atol=1e-6)


def test_frames_off_the_grid_are_refused() -> None:
    with pytest.raises(TrainingError, match="on the 6 Hz grid: those at 40000 and 80000 us are less than a step apart"):
        prediction_windows(temporal("tcn"), np.array([0, 40_000, 80_000]), np.array([0, 3]))


def epochs(videos: list[Any], trained_on: np.ndarray | None = None, **settings: Any) -> TrainingWindows:
    times, offsets = frames_of(videos)
    settings = {
        "window_steps": 30,
        "batch_frames": 50,
        "batch_windows": 1,
        "whole_videos": False,
        "seed": 1,
        **settings,
    }
    return TrainingWindows(times, offsets, np.ones(len(times), bool) if trained_on is None else trained_on, **settings)


@given(VIDEOS, st.one_of(st.none(), st.integers(6, 100)), st.integers(2, 120), st.integers(1, 4), st.booleans())
def test_an_epoch_has_each_frame_once(
    videos: list[Any], window: int | None, batch: int, least: int, whole_videos: bool
) -> None:
    times, offsets = frames_of(videos)
    windows = epochs(videos, window_steps=window, batch_frames=batch, batch_windows=least, whole_videos=whole_videos)
    for number in (1, 2):
        batches = windows.epoch(number)
        assert np.array_equal(np.sort(np.concatenate([one.frames for one in batches])), np.arange(len(times)))
        sizes = [len(one.frames) for one in batches]
        assert len(sizes) == 1 or all(size >= batch for size in sizes)
        of_batches = []
        for one in batches:
            numbers = np.searchsorted(offsets, one.frames, side="right") - 1
            of_batches.append(set(numbers.tolist()))
            assert np.array_equal(one.kept, np.arange(len(one.frames)))
            for start, end in zip(one.starts, one.ends, strict=True):
                steps = grid_steps(times[start:end])
                assert len(set((np.searchsorted(offsets, [start, end - 1], side="right")).tolist())) == 1
                assert window is None or steps[-1] - steps[0] < window
        if whole_videos:
            assert sum(map(len, of_batches)) == len(videos)
        units = [len(one) for one in (of_batches if whole_videos else (batch.starts for batch in batches))]
        assert len(units) == 1 or min(units) >= least


def as_lists(batches: list[Windows]) -> list[list[int]]:
    return [one.frames.tolist() for one in batches]


def test_epochs_differ_and_depend_on_seed_and_number_alone() -> None:
    videos = [range(100), range(200), range(40)]
    first = as_lists(epochs(videos).epoch(1))
    assert as_lists(epochs(videos).epoch(1)) == first
    assert as_lists(epochs(videos).epoch(2)) != first
    assert as_lists(epochs(videos, seed=2).epoch(1)) != first


def test_windows_without_anything_to_train_on_are_left_out() -> None:
    trained_on = np.zeros(100 + 40, dtype=bool)
    trained_on[95:100] = True
    windows = epochs([range(100), range(40)], trained_on)
    for number in range(1, 5):
        frames = np.concatenate([one.frames for one in windows.epoch(number)])
        assert set(range(95, 100)) <= set(frames.tolist())
        assert frames.min() >= 95 - 30 - 4 and frames.max() < 100
