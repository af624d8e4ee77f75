"""Shapley values: what each player adds to a game, on average over the orders in which players can come.

Shapley, "A value for n-person games" (1953). Few players are worth all their coalitions; of many, orders are sampled
(Castro, Gómez and Tejada, "Polynomial calculation of the Shapley value based on sampling", 2009), each beside its
reverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

EXACT_UP_TO: Final = 8
"""Players whose coalitions are all counted: 255."""
_GROUPS, _ORDERS_PER_GROUP = 8, 4

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Game:
    """Which coalitions of P players to value, and what their values say of each player.

    Attributes:
        coalitions: (K, P) bool, none empty, the last one of all players. The empty one's value is 0.
        weights: (R, P, K): for each player, of the values of the coalitions; R independent estimates, or 1 exact one.
    """

    coalitions: npt.NDArray[np.bool_]
    weights: _Floats

    @classmethod
    def of(cls, n_players: int, seed: int = 0) -> Game:
        """Of all coalitions, up to ``EXACT_UP_TO`` players; else of 32 sampled orders, in 8 groups."""
        if n_players <= EXACT_UP_TO:
            return cls._of_all(n_players)
        return cls._of_orders(n_players, np.random.default_rng(seed))

    @classmethod
    def _of_all(cls, n_players: int) -> Game:
        numbers = np.arange(1, 2**n_players)
        coalitions = (numbers[:, None] >> np.arange(n_players) & 1).astype(np.bool_)
        sizes = coalitions.sum(axis=1)
        # A coalition of s that a player is in counts (s - 1)! (P - s)! / P! for, one without it s! (P - s - 1)! / P!.
        factorials = np.array([factorial(n) for n in range(n_players + 1)], dtype=np.float64)
        joined = factorials[sizes - 1] * factorials[n_players - sizes]
        without = factorials[sizes] * factorials[np.maximum(n_players - sizes - 1, 0)]
        weights = np.where(coalitions.T, joined, -without) / factorials[n_players]
        return cls(coalitions, weights[None])

    @classmethod
    def _of_orders(cls, n_players: int, random: np.random.Generator) -> Game:
        halves = [random.permutation(n_players) for _ in range(_GROUPS * _ORDERS_PER_GROUP // 2)]
        orders = np.array([order for half in halves for order in (half, half[::-1])])  # (O, P)
        place = np.argsort(orders, axis=1)  # (O, P)
        # Coalition i of an order: the players that have come with the i-th.
        come = place[:, None, :] <= np.arange(n_players)[:, None]  # (O, P, P)
        coalitions, number = np.unique(come.reshape(-1, n_players), axis=0, return_inverse=True)
        number = number.reshape(len(orders), n_players)
        weights = np.zeros((_GROUPS, n_players, len(coalitions)))
        for row, order in enumerate(orders):
            of_group = weights[row // _ORDERS_PER_GROUP]
            of_group[order, number[row]] += 1 / _ORDERS_PER_GROUP
            of_group[order[1:], number[row, :-1]] -= 1 / _ORDERS_PER_GROUP
        return cls(coalitions, weights)

    def values(self, of_coalitions: npt.NDArray[np.floating[Any]]) -> _Floats:
        """(R, P, …) from the values (K, …) of the coalitions; for every estimate they sum to the last one's value."""
        return np.tensordot(self.weights, of_coalitions, axes=1)


def standard_error(estimates: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """(…) of the mean of R independent ``estimates`` (R, …); 0 of one, which is exact."""
    if len(estimates) == 1:
        return np.zeros_like(estimates[0])
    return np.asarray(estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates)))
