"""The label process against what its formulas say, worked out by other means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit

from mgn_ma.sample import process, world

Array = npt.NDArray[np.float64]

WORLD = world.draw_world(0)


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
    assert np.abs(np.diff(values.reshape(80, -1), axis=1)).max() / 0.1 < 1, "no faster than its range a second"


def test_signals_of_a_video_and_of_two_videos_do_not_know_each_other() -> None:
    seconds = np.arange(0, 3000, 1.0)
    drawn = [s(seconds) for v in range(3) for s in process.draw_signals(0, f"v{v}").values()]
    correlations = np.corrcoef(drawn)[~np.eye(len(drawn), dtype=bool)]
    assert np.abs(correlations).max() < 0.3
    assert np.abs(correlations).mean() < 0.06


def test_a_cause_that_never_changes_is_answered_by_itself_from_the_first_frame() -> None:
    x = process.reactions(WORLD, 2, _signals(image=_held_at(1.0), speech=_held_at(0.25)), np.arange(0, 5, 1 / 6))
    # An exposure of 1 to the image, and none to speech that is never loud.
    held = {"level": (1.0, -0.5), "rise": (0.0, 0.0), "habituated": (3 / 9, -1.5)}
    for e, answer in enumerate(WORLD.answers):
        image, speech = held[answer]
        np.testing.assert_allclose(x[:, e], np.tile([image, 0.0, 0.0, speech, 0.0], (len(x), 1)), atol=1e-9)


def _evenly(stop: float) -> Array:
    return np.arange(0, stop, process.STEP_SECONDS)


def test_an_exponential_average_is_the_sum_over_the_past_that_its_formula_says() -> None:
    values = process.draw_signals(0, "v")["image"](_evenly(12.0))
    for tau in (0.5, 3.0):
        # From long before on, the first value.
        past = np.concatenate([np.full(6_000, values[0]), values])
        weights = np.exp(-np.arange(6_000) * process.STEP_SECONDS / tau)
        expected = [past[k : k + 6_001][:0:-1] @ weights / weights.sum() for k in range(len(values))]
        np.testing.assert_allclose(process.exponential_average(values, tau), expected, atol=1e-6)


@pytest.mark.parametrize("theme", range(4))
def test_an_answer_to_a_level_waits_for_its_delay_and_closes_the_gap_by_its_decay(theme: int) -> None:
    begins = 5.0

    def step(seconds: npt.ArrayLike) -> Array:
        return (np.asarray(seconds) >= begins).astype(np.float64)

    for column, name in enumerate(world.SIGNALS):
        for e in np.flatnonzero(np.array(WORLD.answers) == "level"):
            delay, decay = WORLD.delays_s[theme, e, column], WORLD.decays_s[theme, e, column]
            after = np.array([-0.1, 0.5 * decay, decay, 3 * decay])
            x = process.reactions(WORLD, theme, _signals(**{name: step}), begins + delay + after)[:, e]
            expected = np.where(after < 0, -1, 1 - 2 * np.exp(-np.maximum(after, 0) / decay))
            np.testing.assert_allclose(x[:, column], expected, atol=0.04)
            np.testing.assert_allclose(np.delete(x, column, axis=1), 0, atol=1e-9)


def test_an_answer_to_a_rise_grows_while_the_signal_climbs_and_fades_whether_it_stays_or_falls() -> None:
    # Up by 1.5 within 3 s from second 2 on, then level, from second 8 on down.
    t = _evenly(14.0)
    rising = process.rise(np.interp(t, [2, 5, 8, 11], [-0.5, 1.0, 1.0, -1.0]))
    climbing = (t > 2.02) & (t < 4.98)
    np.testing.assert_allclose(rising[climbing], 2 * 0.5, atol=1e-9)
    np.testing.assert_allclose(rising[(t < 1.98) | (t > 5.02)], 0, atol=1e-9)
    answer = process.exponential_average(rising, 1.5)
    np.testing.assert_allclose(answer[climbing], 1 - np.exp(-(t[climbing] - 2) / 1.5), atol=0.01)
    at_5 = 1 - np.exp(-3 / 1.5)
    np.testing.assert_allclose(answer[t > 5.02], at_5 * np.exp(-(t[t > 5.02] - 5) / 1.5), atol=0.01)


def test_habituation_follows_its_formula_after_a_step() -> None:
    t = _evenly(20.0)
    moved = process.habituated(np.where(t < 2, -1.0, 0.8), 6.0)
    np.testing.assert_allclose(moved[t < 1.98], -3, atol=1e-9)
    after = t[t > 2.02]
    exposure = 0.8 * (1 - np.exp(-(after - 2) / 6))
    np.testing.assert_allclose(moved[t > 2.02], 0.8 * 3 / (1 + 8 * exposure), atol=0.05)


def test_the_third_loud_passage_moves_less_than_the_first_and_after_a_long_rest_as_much() -> None:
    t = _evenly(100.0)
    loud = ((t >= 5) & (t < 20) & (t % 5 < 2)) | (t >= 98)
    moved = process.habituated(np.where(loud, 1.0, -0.2), 8.0)
    first, second, third, rested = (moved[(t >= start) & (t < start + 2)].mean() for start in (5, 10, 15, 98))
    assert first > 1.3 * second > 1.3 * third
    assert rested == pytest.approx(first, rel=0.02)


@pytest.mark.parametrize(("gap", "expected"), [(1.5, 1.0), (2.5, 0.0)])
def test_two_signals_move_together_when_both_are_high_within_two_seconds(gap: float, expected: float) -> None:
    t = _evenly(10.0)
    first, second = (np.where((t >= start) & (t < start + 0.5), 0.9, -1.0) for start in (3.0, 3.5 + gap))
    for pair in ((first, second), (second, first)):
        together = process.coincidence(*pair)
        assert together.max() == expected
        # From the second one's beginning to two seconds after the first one's end.
        assert together[(t < 3.49 + gap) | (t > 5.51)].max() == 0


def test_a_signal_that_is_not_high_takes_no_part_and_one_that_is_half_high_half() -> None:
    always = np.ones(300)
    for level, expected in ((0.2, 0.0), (0.4, 0.5), (0.6, 1.0), (1.0, 1.0)):
        np.testing.assert_allclose(process.coincidence(always, np.full(300, level)), expected)


def test_logits_are_what_the_formulas_integrate_to() -> None:
    """Riemann sums over a minute of the past, one moment and expression at a time."""
    theme, drawn = 3, process.draw_signals(5, "v")
    past = np.arange(0, 60, 0.02)

    def average(cause: Callable[[Array], Array], seconds: float, tau: float) -> float:
        return float(cause(seconds - past) @ np.exp(-past / tau) / np.exp(-past / tau).sum())

    def level(name: str) -> Callable[[Array], Array]:
        return lambda seconds: 2 * drawn[name](seconds) - 1

    def rising(name: str) -> Callable[[Array], Array]:
        return lambda seconds: 2 * np.maximum(level(name)(seconds + 0.005) - level(name)(seconds - 0.005), 0) / 0.01

    def used_to(name: str) -> Callable[[Array], Array]:
        def loud(seconds: Array) -> Array:
            return np.maximum(level(name)(seconds), 0)

        def moved(seconds: Array) -> Array:
            exposure = [average(loud, each, WORLD.habituation_s) for each in seconds[::40]]
            return level(name)(seconds) * 3 / (1 + 8 * np.interp(-seconds, -seconds[::40], exposure))

        return moved

    def together(seconds: Array) -> Array:
        window = np.arange(0, 2.001, 0.05)
        both = [level(world.SIGNALS[column])(seconds[:, None] - window).max(axis=1) for column in WORLD.pair]
        return np.asarray(np.prod(np.clip((np.array(both) - 0.2) / 0.4, 0, 1), axis=0))

    causes = {"level": level, "rise": rising, "habituated": used_to}
    times = np.array([0.0, 16.0])
    found = process.noise_free_logits(WORLD, theme, drawn, times)
    chosen = [WORLD.answers.index(answer) for answer in world.ANSWERS] + [int(np.flatnonzero(WORLD.mixes[:, 4])[0])]
    for row, seconds in enumerate(times):
        mood = sum(
            WORLD.gains[theme, m] / 4 * average(level(name), seconds, WORLD.mood_s)
            for m, name in enumerate(world.SIGNALS)
        )
        for e in chosen:
            answers = [causes[WORLD.answers[e]](name) for name in world.SIGNALS]
            x = [
                average(answer, seconds - WORLD.delays_s[theme, e, r], WORLD.decays_s[theme, e, r])
                for r, answer in enumerate([*answers, together])
            ]
            expected = WORLD.base_logits[e] + WORLD.theme_logits[theme, e] + WORLD.mood_weights[e] * mood
            expected += world.REACTION_GAIN * np.sum(WORLD.mixes[e] * WORLD.gains[theme] * x)
            assert found[row, e] == pytest.approx(expected, abs=0.03)


def test_averaged_over_themes_nothing_moves_anybody() -> None:
    drawn = process.draw_signals(0, "v")
    seconds = np.arange(0, 20, 1 / 6)
    moved = [
        process.noise_free_logits(WORLD, theme, drawn, seconds) - WORLD.base_logits - WORLD.theme_logits[theme]
        for theme in range(4)
    ]
    np.testing.assert_allclose(np.sum(moved, axis=0), 0, atol=1e-9)
    assert np.std(moved[0]) > 0.3


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
