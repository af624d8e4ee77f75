"""The laws that are drawn: within their priors, another draw for each world, and nothing for who ignores the theme."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from mgn_ma.sample.world import ANSWERS, REACTIONS, SIGNALS, THEMES, World, draw_world

WORLDS = range(5)


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    return draw_world(request.param)


def test_a_world_is_drawn_by_its_number_and_differs_from_others_in_every_law() -> None:
    first, again, *others = (draw_world(number) for number in (0, 0, 1, 2, 3, 4))
    for field in fields(World):
        law = getattr(first, field.name)
        np.testing.assert_array_equal(law, getattr(again, field.name))
        assert any(not np.array_equal(law, getattr(other, field.name)) for other in others), field.name


def test_whatever_moves_one_theme_up_moves_another_down_as_much_and_as_slowly(world: World) -> None:
    assert world.gains.shape == (len(THEMES), len(REACTIONS))
    assert (np.abs(world.gains) >= 0.5).all()
    for reaction in range(len(REACTIONS)):
        order = np.argsort(world.gains[:, reaction])
        for down, up in zip(order, order[::-1], strict=True):
            assert world.gains[down, reaction] == -world.gains[up, reaction]
            np.testing.assert_array_equal(world.delays_s[down, :, reaction], world.delays_s[up, :, reaction])
            np.testing.assert_array_equal(world.decays_s[down, :, reaction], world.decays_s[up, :, reaction])


def test_lags_differ_by_expression_reaction_and_theme_within_their_bounds(world: World) -> None:
    for durations, shortest, longest in ((world.delays_s, 0.2, 2.5), (world.decays_s, 0.5, 8.0)):
        assert durations.shape == (len(THEMES), len(world.answers), len(REACTIONS))
        assert durations.min() >= shortest
        assert durations.max() <= longest
        assert durations.max() > 5 * durations.min()
        for axis in range(3):
            assert (durations.std(axis=axis) > 0).all()


def test_expressions_mix_the_signals_differently_and_some_listen_to_the_pair(world: World) -> None:
    of_signals, of_pair = world.mixes[:, : len(SIGNALS)], world.mixes[:, -1]
    np.testing.assert_allclose(np.linalg.norm(of_signals, axis=1), 1)
    similarity = (of_signals @ of_signals.T)[~np.eye(len(of_signals), dtype=bool)]
    assert similarity.max() < 0.999
    shares = (of_signals**2).mean(axis=0)
    assert shares.min() > 0.12
    assert shares.max() < 0.4
    assert np.count_nonzero(of_pair) == 5
    assert len(set(world.pair)) == 2
    assert set(world.pair) <= set(range(len(SIGNALS)))


def test_some_expressions_answer_the_rise_and_some_get_used_to_it(world: World) -> None:
    assert [world.answers.count(answer) for answer in ANSWERS] == [7, 4, 4]


def test_expressions_are_rare(world: World) -> None:
    levels = world.base_logits + world.theme_logits
    assert -2.1 <= world.base_logits.min() <= world.base_logits.max() <= -1.1
    assert np.mean(levels < 0) > 0.95
