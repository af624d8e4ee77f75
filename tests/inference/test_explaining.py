"""What a curve owes to each modality, against Shapley's definition, order by order, through the plain prediction."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from tiny_ensemble import bundle, member, video_networks

from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.reaction import Reaction
from mgn_ma.grid import grid_time
from mgn_ma.inference.bundle import Bundle
from mgn_ma.inference.predictor import Predictor
from mgn_ma.training.predict import predict

REACTION = Reaction(centred=False, delays_s=(0.3,) * 15, time_constants_s=(0.5,) * 15)
RECIPES = {
    "mean": {"method": "mean"},
    "standardised": {"method": "standardised_mean", "standardised": True},
    "reaction": {"reaction": REACTION},
    "in time": {"kinds": ("tcn", "gru")},
}


def restless(**changes) -> Bundle:
    """An ensemble whose curves move."""
    made = bundle(**changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        members = {
            name: replace(
                member,
                weights={
                    key: 0.5 * torch.randn(value.shape) if "weight" in key and value.ndim == 2 else value
                    for key, value in member.weights.items()
                },
            )
            for name, member in made.members.items()
        }
    return Bundle(made.description, members, made.video_network)


def times_of(tiny, video_id):
    frames = tiny.labels[tiny.labels["video_id"] == video_id]
    return frames["timestamp_us"].to_numpy(np.int64)


def by_orders(made, monkeypatch, video_id, tracks, times, players):
    """(M, F, C): the mean over all orders of the modalities of what each adds to the curve above its mean."""
    plain = Predictor(made, device="cpu")
    whole = {}

    def remember(network, gather, timestamps_us, *arguments, **how):
        whole[len(whole)] = (network, gather, timestamps_us, arguments, how)
        return predict(network, gather, timestamps_us, *arguments, **how)

    monkeypatch.setattr("mgn_ma.inference.predictor.predict", remember)
    plain.predict(video_id, tracks, times)

    def without_others(batches, stay):
        for batch in batches:
            present = {name: mask & (name in stay) for name, mask in batch.present.items()}
            yield replace(batch, present=present)

    def curves(stay):
        outputs = [
            predict(
                network,
                lambda cuts, gather=gather: without_others(gather(cuts), stay),
                timestamps_us,
                *arguments,
                **how,
            ).values
            for network, gather, timestamps_us, arguments, how in whole.values()
        ]
        scale = made.description.recipe.gains(video_id, everything, EEV)
        combined = sum(gain * output for gain, output in zip(scale, outputs, strict=True))
        reacted = made.description.recipe.reacted(video_id, combined, times)
        return reacted - reacted.mean(axis=0)

    everything = [
        predict(network, gather, timestamps_us, *arguments, **how).values
        for network, gather, timestamps_us, arguments, how in whole.values()
    ]
    added = dict.fromkeys(players, 0.0)
    orders = list(permutations(players))
    for order in orders:
        before = 0.0
        for place, name in enumerate(order):
            after = curves(order[: place + 1])
            added[name] = added[name] + (after - before) / len(orders)
            before = after
    return added


@pytest.mark.parametrize("how", RECIPES)
def test_it_is_the_mean_over_all_orders(tiny, monkeypatch, how):
    made = restless(**RECIPES[how])
    times, tracks = times_of(tiny, "-v4"), tiny.tracks("-v4")
    explained = Predictor(made, device="cpu").predict("-v4", tracks, times, explain=True)
    expected = by_orders(made, monkeypatch, "-v4", tracks, times, made.modalities)
    for column, name in enumerate(made.modalities):
        np.testing.assert_allclose(explained.contributions[:, column], expected[name], atol=1e-5)
    assert np.abs(explained.contributions).max() > 0.01
    assert explained.standard_error == 0


@pytest.mark.parametrize("how", RECIPES)
def test_they_sum_to_what_the_curve_is_above_its_mean_on_every_frame(tiny, how):
    predictor = Predictor(restless(**RECIPES[how]), device="cpu")
    for video_id in tiny.labels["video_id"].unique():
        tracks, times = tiny.tracks(video_id), times_of(tiny, video_id)
        plain, explained = (predictor.predict(video_id, tracks, times, explain=explain) for explain in (False, True))
        np.testing.assert_allclose(explained.values, plain.values, atol=1e-5)
        np.testing.assert_allclose(explained.attention, plain.attention, atol=1e-6)
        above = explained.values - explained.values.mean(axis=0)
        np.testing.assert_allclose(explained.contributions.sum(axis=1), above, atol=1e-5)
        assert plain.contributions.shape == (len(times), 0, 15)


def test_of_many_modalities_they_are_estimated_and_still_sum_up(tiny, monkeypatch):
    predictor = Predictor(restless(), device="cpu")
    tracks, times = tiny.tracks("-v4"), times_of(tiny, "-v4")
    exact = predictor.predict("-v4", tracks, times, explain=True)
    monkeypatch.setattr("mgn_ma.inference.shapley.EXACT_UP_TO", 3)
    estimated = predictor.predict("-v4", tracks, times, explain=True)
    assert 0 < np.abs(estimated.contributions - exact.contributions).max() < 5 * estimated.standard_error < 0.5
    above = estimated.values - estimated.values.mean(axis=0)
    np.testing.assert_allclose(estimated.contributions.sum(axis=1), above, atol=1e-5)


def test_what_a_video_lacks_contributes_nothing(tiny):
    made = restless()
    without_sound = Predictor(made, device="cpu").predict(
        "-v1", tiny.tracks("-v1"), times_of(tiny, "-v1"), explain=True
    )
    silent = made.modalities.index("audio")
    assert not without_sound.contributions[:, silent].any()
    assert without_sound.contributions.any(axis=(0, 2)).sum() == len(made.modalities) - 1


def test_without_any_track_there_is_nothing_to_explain(tiny):
    times = grid_time(np.arange(5))
    explained = Predictor(restless(), device="cpu").predict("-v", {}, times, explain=True)
    np.testing.assert_allclose(explained.contributions, 0, atol=1e-6)


def test_a_member_that_reads_some_modalities_alone(tiny, monkeypatch):
    made = restless()
    # The second member has ears and no eyes.
    times, tracks = times_of(tiny, "-v4"), tiny.tracks("-v4")
    hearing = member(20, video_networks(), modalities=("audio",))
    mixed = Bundle(made.description, {"member_1": made.members["member_1"], "member_2": hearing}, made.video_network)
    explained = Predictor(mixed, device="cpu").predict("-v4", tracks, times, explain=True)
    expected = by_orders(mixed, monkeypatch, "-v4", tracks, times, mixed.modalities)
    for column, name in enumerate(mixed.modalities):
        np.testing.assert_allclose(explained.contributions[:, column], expected[name], atol=1e-5)
