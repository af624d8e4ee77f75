"""The label process against what its formulas say, worked out by other means."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit

from mgn_ma.sample import process, world

Array = npt.NDArray[np.float64]


def _held_at(value: float) -> process.Signal:
    return lambda seconds: np.full(np.shape(seconds), value)


def _signals(**given: process.Signal) -> dict[str, process.Signal]:
    return {name: given.get(name, _held_at(0.5)) for name in world.SIGNALS}


def test_signals_are_slow_fill_the_unit_interval_and_stay_in_it() -> None:
    seconds = np.arange(0, 600, 0.1)
    values = np.concatenate(
        [signal(seconds) for v in range(20) for signal in process.draw_signals(3, f"v{v}").values()]
    )
    assert values.min() >= 0
    assert values.max() <= 1
    share_below, _ = np.histogram(values, bins=4, range=(0, 1))
    np.testing.assert_allclose(share_below / len(values), 0.25, atol=0.04)
    assert np.abs(np.diff(values.reshape(80, -1), axis=1)).max() / 0.1 < 0.5, "no faster than half its range a second"


def test_signals_of_a_video_and_of_two_videos_do_not_know_each_other() -> None:
    seconds = np.arange(0, 3000, 1.0)
    drawn = [s(seconds) for v in range(3) for s in process.draw_signals(0, f"v{v}").values()]
    correlations = np.corrcoef(drawn)[~np.eye(len(drawn), dtype=bool)]
    assert np.abs(correlations).max() < 0.3
    assert np.abs(correlations).mean() < 0.06


def test_a_cause_that_never_changes_is_answered_by_itself_from_the_first_frame() -> None:
    x = process.reactions(_signals(image=_held_at(1.0), speech=_held_at(0.25)), np.arange(0, 5, 1 / 6))
    np.testing.assert_allclose(x, np.tile([1.0, 0.0, 0.0, -0.5], (len(x), 1)), atol=1e-9)


@pytest.mark.parametrize("column", range(4))
def test_a_reaction_waits_for_its_delay_and_then_closes_the_gap_by_its_decay(column: int) -> None:
    begins = 5.0

    def step(seconds: npt.ArrayLike) -> Array:
        return (np.asarray(seconds) >= begins).astype(np.float64)

    delay, decay = world.DELAYS_SECONDS[column], world.DECAYS_SECONDS[column]
    assert 0.5 <= delay <= 0.8
    assert 1.0 <= decay <= 2.0
    after = np.array([-0.1, 0.5 * decay, decay, 3 * decay])
    x = process.reactions(_signals(**{world.SIGNALS[column]: step}), begins + delay + after)
    expected = np.where(after < 0, -1, 1 - 2 * np.exp(-np.maximum(after, 0) / decay))
    np.testing.assert_allclose(x[:, column], expected, atol=0.03)
    np.testing.assert_allclose(np.delete(x, column, axis=1), 0, atol=1e-9)


def test_nobody_who_ignores_the_theme_knows_a_sign() -> None:
    np.testing.assert_allclose(world.GAINS.sum(axis=0), 0, atol=1e-12)
    assert (np.abs(world.GAINS) >= 0.5).all()
    x = np.random.default_rng(0).uniform(-1, 1, (50, 4))
    swings = [process.noise_free_logits(theme, x) - process.noise_free_logits(theme, 0 * x) for theme in range(4)]
    np.testing.assert_allclose(np.sum(swings, axis=0), 0, atol=1e-12)
    assert np.std(swings[0]) > 0.3


def test_expressions_mix_the_signals_differently_and_hear_all_of_them_alike() -> None:
    np.testing.assert_allclose(np.linalg.norm(world.MIXES, axis=1), 1)
    similarity = (world.MIXES @ world.MIXES.T)[~np.eye(15, dtype=bool)]
    assert similarity.max() < 0.99
    shares = (world.MIXES**2).mean(axis=0)
    assert shares.min() > 0.12
    assert shares.max() < 0.4


def test_noise_has_the_deviation_and_the_memory_that_it_should() -> None:
    noise = process.annotation_noise(np.random.default_rng(0), 20_000, 0.5)
    assert noise.std() == pytest.approx(0.5, rel=0.03)
    assert noise[:200].std() == pytest.approx(0.5, rel=0.15), "as wide at the start"
    lagged = np.mean(noise[1:] * noise[:-1]) / noise.var()
    assert lagged == pytest.approx(np.exp(-1 / (6 * world.NOISE_MEMORY_SECONDS)), abs=0.02)


def test_labels_are_the_signal_where_there_is_no_noise() -> None:
    logits = np.random.default_rng(0).normal(size=(40, 15))
    truth, labels = process.label(logits, np.zeros_like(logits))
    np.testing.assert_array_equal(truth, labels)
    np.testing.assert_allclose(truth, expit(logits))
