"""Shapley values against the average over all orders, one by one."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgn_ma.inference.shapley import EXACT_UP_TO, Game, standard_error


def by_orders(worth, n_players):
    """The mean of what each player adds over all orders; ``worth`` of a set of players, 0 of none."""
    orders = list(permutations(range(n_players)))
    added = np.zeros(n_players)
    for order in orders:
        for place, player in enumerate(order):
            added[player] += worth(frozenset(order[: place + 1])) - worth(frozenset(order[:place]))
    return added / len(orders)


def worth_of_each(game, worth):
    return np.array([worth(frozenset(np.flatnonzero(coalition).tolist())) for coalition in game.coalitions])


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.floats(-1e3, 1e3), min_size=2**n - 1, max_size=2**n - 1)))
def test_of_few_players_it_is_the_mean_over_all_orders(worths):
    n_players = (len(worths) + 1).bit_length() - 1
    table = {
        frozenset(player for player in range(n_players) if number >> player & 1): worth
        for number, worth in enumerate([0.0, *worths])
    }
    game = Game.of(n_players)
    np.testing.assert_allclose(
        game.values(worth_of_each(game, table.__getitem__))[0], by_orders(table.__getitem__, n_players), atol=1e-9
    )


def test_a_glove_game_by_hand():
    # One left glove, two right ones; a pair is worth 1. The left one is in the middle of two thirds of it.
    game = Game.of(3)
    pair = worth_of_each(game, lambda players: float(0 in players and len(players) > 1))
    np.testing.assert_allclose(game.values(pair), [[2 / 3, 1 / 6, 1 / 6]])


@pytest.mark.parametrize("n_players", [EXACT_UP_TO + 1, 12])
def test_of_many_players_it_is_estimated_with_an_honest_error(n_players):
    random = np.random.default_rng(1)
    pairs = np.triu(random.normal(size=(n_players, n_players)))

    def worth(players):
        chosen = sorted(players)
        return float(pairs[np.ix_(chosen, chosen)].sum()) ** 2 / 10

    game = Game.of(n_players)
    assert game.coalitions[-1].all() and game.coalitions.any(axis=1).all()
    assert len(game.coalitions) < 2 ** (n_players - 1)
    of_coalitions = worth_of_each(game, worth)
    estimates = game.values(of_coalitions)
    np.testing.assert_allclose(estimates.sum(axis=1), of_coalitions[-1])
    many = [Game.of(n_players, seed) for seed in range(1, 60)]
    others = np.concatenate([other.values(worth_of_each(other, worth)) for other in many])
    errors = (estimates.mean(axis=0) - others.mean(axis=0)) / standard_error(estimates)
    assert 0.2 < np.sqrt(np.mean(errors**2)) < 2.5


def test_what_is_a_sum_over_players_is_estimated_without_error():
    game = Game.of(10)
    estimates = game.values(worth_of_each(game, lambda players: float(sum(players))))
    np.testing.assert_allclose(estimates, np.tile(np.arange(10.0), (len(estimates), 1)))
    np.testing.assert_allclose(standard_error(estimates), 0, atol=1e-12)


def test_what_is_exact_has_no_error():
    assert standard_error(np.ones((1, 3))).tolist() == [0, 0, 0]
