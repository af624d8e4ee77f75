from __future__ import annotations

import json

import numpy as np
import pytest

from mgn_ma.eev.frames import expression_matrix
from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.bootstrap import BootstrapConfig
from mgn_ma.evaluation.ensembling import EnsemblingConfig, learn
from mgn_ma.evaluation.mixture_scores import MemberMoments
from mgn_ma.evaluation.predictions import PredictionError, SplitPredictions
from mgn_ma.evaluation.reaction import learn_reactions
from mgn_ma.evaluation.recipe import EnsembleRecipe, labelled_curves


def recipe_of(world, method="stacking"):
    predictions = SplitPredictions.from_table(world.predictions_table(), "validation")
    moments = MemberMoments.from_predictions(list(predictions.members.values()), world.labels, world.offsets)
    learned = learn(method, moments, EnsemblingConfig())
    return (
        EnsembleRecipe.from_learned(method, learned, list(predictions.members), predictions.video_ids),
        learned,
        predictions,
    )


def test_a_recipe_survives_json_and_predicts_the_same(world):
    recipe, _, predictions = recipe_of(world())
    again = EnsembleRecipe.model_validate(json.loads(json.dumps(recipe.model_dump(mode="json"))))
    assert again == recipe
    assert again.predict(predictions, EEV).equals(recipe.predict(predictions, EEV))


def test_known_videos_get_weights_that_have_not_seen_them_and_new_ones_get_all(world):
    world = world()
    recipe, learned, predictions = recipe_of(world, "greedy")
    assert recipe.weights == tuple(learned.weights)
    assert recipe.video_weights["v3"] == tuple(learned.video_weights[3])
    v3 = slice(world.offsets[3], world.offsets[4])
    members = [values.astype(float) for values in world.members.values()]
    known = expression_matrix(recipe.predict(predictions, EEV), EEV.names)
    np.testing.assert_allclose(
        known[v3], np.tensordot(learned.video_weights[3], [m[v3] for m in members], axes=1), atol=1e-6
    )
    table = world.predictions_table()
    table["video_id"] = "new_" + table["video_id"]
    new = expression_matrix(recipe.predict(SplitPredictions.from_table(table, "validation"), EEV), EEV.names)
    np.testing.assert_allclose(new, np.tensordot(learned.weights, members, axes=1), atol=1e-6)


def test_known_videos_get_the_reaction_that_has_not_seen_them_and_new_ones_that_of_all(world):
    plain, learned, predictions = recipe_of(world(), "greedy")
    curves = labelled_curves(learned, predictions, world().labels, EEV, EnsemblingConfig())
    found = learn_reactions(["causal_by_expression"], curves, BootstrapConfig())["causal_by_expression"]
    recipe = EnsembleRecipe.from_learned("greedy", learned, list(predictions.members), predictions.video_ids, found)
    again = EnsembleRecipe.model_validate(json.loads(json.dumps(recipe.model_dump(mode="json"))))
    assert again == recipe
    v3 = slice(predictions.offsets[3], predictions.offsets[4])
    times = predictions.frames["timestamp_us"].to_numpy()[v3]
    before = plain.values(predictions, EEV)[v3]
    np.testing.assert_allclose(
        again.values(predictions, EEV)[v3], found.video_reactions[3].apply(before, times), atol=1e-6
    )
    members = [values[v3] for values in predictions.members.values()]
    np.testing.assert_allclose(
        again.curves("new", members, times, EEV),
        found.reaction.apply(plain.curves("new", members, times, EEV), times),
        atol=1e-6,
    )


def test_weights_go_to_their_member_whatever_the_order_of_the_table(world):
    world = world()
    recipe, _, predictions = recipe_of(world)
    expected = recipe.predict(predictions, EEV)
    world.members = dict(reversed(world.members.items()))
    reversed_members = SplitPredictions.from_table(world.predictions_table(), "validation")
    np.testing.assert_array_equal(
        expression_matrix(recipe.predict(reversed_members, EEV), EEV.names), expression_matrix(expected, EEV.names)
    )


def test_predictions_of_other_members_are_refused(world):
    world = world()
    recipe, _, _ = recipe_of(world)
    del world.members["member_2"]
    with pytest.raises(PredictionError, match="member_2 has no predictions, which are of member_0"):
        recipe.predict(SplitPredictions.from_table(world.predictions_table(), "validation"), EEV)
