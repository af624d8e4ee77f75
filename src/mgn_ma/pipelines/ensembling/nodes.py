"""Nodes that make one prediction of several, and score it; docs/evaluation.md describes the methods."""

from typing import Any

import numpy as np
import pandas as pd

from mgn_ma.eev.targets import Targets
from mgn_ma.evaluation.ensembling import EnsemblingConfig, learn_all
from mgn_ma.evaluation.metrics import calibration_errors, calibration_table, dispersion, score_rows
from mgn_ma.evaluation.mixture_scores import MemberMoments
from mgn_ma.evaluation.predictions import PredictionError, SplitPredictions
from mgn_ma.evaluation.reaction import REACTIONS, learn_reactions
from mgn_ma.evaluation.recipe import EnsembleRecipe, labelled_curves
from mgn_ma.evaluation.report import json_values, method_report, reaction_report
from mgn_ma.evaluation.scoring import ENSEMBLE, EvaluationConfig, ensemble_of
from mgn_ma.features.settings import Modalities
from mgn_ma.pipelines.evaluation.nodes import video_themes
from mgn_ma.training.config import EnsembleConfig
from mgn_ma.training.current import members_of, require_current, require_predicted_from
from mgn_ma.training.packed import PackedSplit


def learn_ensemble(
    member_predictions: pd.DataFrame,
    labels_validation: pd.DataFrame,
    targets: Targets,
    ensembling: EnsemblingConfig,
    ensemble_members: EnsembleConfig,
    evaluation: EvaluationConfig,
    data_fingerprint: dict[str, str],
    modalities: Modalities,
    *splits: PackedSplit,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The recipe of the ensemble that scores best, those of all, and what each way to make the best one scores.

    All scores are cross-validated over the videos of validation.

    Raises:
        TrainingError: the predictions are not of the ``splits`` that are packed, or those not of today's data.
        PredictionError: a member of an ensemble has no predictions.
    """
    require_current(splits, data_fingerprint, modalities)
    require_predicted_from(member_predictions, splits)
    predictions = SplitPredictions.from_table(member_predictions, "validation")
    labels = predictions.labels(labels_validation)
    trained = members_of(member_predictions)
    recipes, reports, scores = {}, {}, {}
    for name, members in ensemble_members.ensembles.items():
        of_members = predictions.of_members(members)
        moments = MemberMoments.from_predictions(
            list(of_members.members.values()), labels, predictions.offsets, constant=evaluation.constant
        )
        learned = learn_all(moments, ensembling)
        chosen = learned[ensembling.method]
        curves = labelled_curves(chosen, of_members, labels, targets, ensembling)
        reactions = learn_reactions(REACTIONS, curves, evaluation.bootstrap, evaluation.constant)
        reaction = reactions[ensembling.reaction]
        recipes[name] = EnsembleRecipe.from_learned(
            ensembling.method, chosen, members, predictions.video_ids,
            None if ensembling.reaction == "none" else reaction, trained, name,
        )  # fmt: skip
        scores[name] = reaction.score
        reports[name] = (
            json_values(method_report(learned, members, evaluation.bootstrap)),
            json_values(reaction_report(reactions, predictions.expressions, evaluation.bootstrap)),
        )
    # Without a score, as where nothing is defined, it is the first.
    best = max(scores, key=lambda name: np.nan_to_num(scores[name], nan=-np.inf))
    dumped = {name: recipe.model_dump(mode="json") for name, recipe in recipes.items()}
    return dumped[best], dumped, *reports[best]


def combine_members(
    member_predictions: pd.DataFrame, ensemble_recipe: dict[str, Any], targets: Targets
) -> pd.DataFrame:
    """The ensemble's predictions for validation, with weights that have not seen the video, for hold-out and test.

    Raises:
        PredictionError: the recipe was learned from the predictions of other members.
    """
    recipe = EnsembleRecipe.model_validate(ensemble_recipe)
    if recipe.members_fingerprint != members_of(member_predictions):
        raise PredictionError(
            "the ensemble's recipe was learned from other members than the predictions are of: run "
            "`kedro run --pipelines ensembling`"
        )
    return pd.concat(
        [
            recipe.predict(SplitPredictions.from_table(member_predictions, str(split)), targets)
            for split in member_predictions["split"].unique()
        ],
        ignore_index=True,
    )


def score_ensembles(
    ensemble_predictions: pd.DataFrame,
    member_predictions: pd.DataFrame,
    ensemble_recipes: dict[str, Any],
    labels_validation: pd.DataFrame,
    labels_holdout: pd.DataFrame,
    truth_test_labels: pd.DataFrame | None,
    truth_videos: pd.DataFrame | None,
    targets: Targets,
    evaluation: EvaluationConfig,
) -> pd.DataFrame:
    """Score table of the ensemble on validation, on the hold-out, and on test where the test labels are known.

    Where there are alternatives, each of all ensembles has rows of its own besides.
    """
    recipes = {name: EnsembleRecipe.model_validate(recipe) for name, recipe in ensemble_recipes.items()}
    tables = []
    known = {"validation": labels_validation, "holdout": labels_holdout, "test": truth_test_labels}
    for split, labels in known.items():
        predictions = None if labels is None else _predictions_for(ensemble_predictions, labels)
        if labels is None or predictions is None:
            continue
        values = {ENSEMBLE: predictions.members[ENSEMBLE]}
        if len(recipes) > 1:
            of_members = SplitPredictions.from_table(member_predictions, split)
            values |= {ensemble_of(name): recipe.values(of_members, targets) for name, recipe in recipes.items()}
        truth = predictions.labels(labels)
        tables += [
            score_rows(
                of_ensemble,
                truth,
                predictions.video_ids,
                predictions.offsets,
                predictions.expressions,
                split=split,
                predictor=name,
                constant=evaluation.constant,
                themes=video_themes(truth_videos),
            )
            for name, of_ensemble in values.items()
        ]
    return pd.concat(tables, ignore_index=True)


def calibrate(
    ensemble_predictions: pd.DataFrame, labels_validation: pd.DataFrame, evaluation: EvaluationConfig
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What correlation does not see, on validation: the reliability of each bin, and errors by expression."""
    predictions = _predictions_for(ensemble_predictions, labels_validation)
    if predictions is None:
        raise PredictionError("no validation video has a prediction")
    values, labels = predictions.members[ENSEMBLE], predictions.labels(labels_validation)
    bins = calibration_table(values, labels, predictions.expressions, evaluation.calibration_bins)
    by_expression = calibration_errors(bins).join(
        dispersion(values, labels, predictions.expressions, predictions.offsets)
    )
    return bins, by_expression.reset_index()


def _predictions_for(ensemble_predictions: pd.DataFrame, labels: pd.DataFrame) -> SplitPredictions | None:
    """The ensemble's predictions for the videos of ``labels``, as if of one member; ``None`` if there are none."""
    rows = ensemble_predictions[ensemble_predictions["video_id"].isin(labels["video_id"].unique()).to_numpy()]
    if rows.empty:
        return None
    return SplitPredictions.from_table(rows.assign(member=ENSEMBLE, split="any"), "any")
