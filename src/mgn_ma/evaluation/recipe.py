"""What has to be kept of an ensemble to predict with it again: its members, their weights, and viewers' reaction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.eev.targets import Targets
from mgn_ma.evaluation.ensembling import EnsemblingConfig, EnsemblingMethod, LearnedMethod, combine, deal_folds, gains
from mgn_ma.evaluation.predictions import SplitPredictions, frame_table
from mgn_ma.evaluation.reaction import LabelledCurves, LearnedReaction, Reaction
from mgn_ma.training.config import BASE


class EnsembleRecipe(Configuration):
    """How the members' predictions become the ensemble's."""

    ensemble: str = BASE
    """Which ensemble of ``ensemble_members`` this is."""
    method: EnsemblingMethod
    standardised: bool
    """Whether members are standardised within each video before they are weighted."""
    members: tuple[str, ...]
    """Whose predictions are taken; there may be others, of ensembles that scored less."""
    weights: tuple[float, ...]
    """One a member, for every video but those below."""
    video_weights: dict[str, tuple[float, ...]]
    """For the videos that the weights were learned on: weights learned without them."""
    reaction: Reaction | None = None
    """Of viewers to the combined curves, in every video but those below; None takes the curves as they are."""
    video_reactions: dict[str, Reaction] = Field(default_factory=dict)
    """For the videos that the reaction was learned on: one learned without them."""
    members_fingerprint: str = ""
    """Of the networks whose predictions the weights were learned from; "" where it is not known."""

    @classmethod
    def from_learned(
        cls,
        method: EnsemblingMethod,
        learned: LearnedMethod,
        members: list[str],
        video_ids: list[str],
        reaction: LearnedReaction | None = None,
        members_fingerprint: str = "",
        ensemble: str = BASE,
    ) -> EnsembleRecipe:
        """The recipe of a method and a reaction that were learned on the videos ``video_ids`` (V)."""
        return cls(
            ensemble=ensemble,
            method=method,
            standardised=learned.standardised,
            members=tuple(members),
            weights=tuple(learned.weights.tolist()),
            video_weights={
                video_id: tuple(weights)
                for video_id, weights in zip(video_ids, learned.video_weights.tolist(), strict=True)
            },
            reaction=reaction.reaction if reaction else None,
            video_reactions=dict(zip(video_ids, reaction.video_reactions, strict=True)) if reaction else {},
            members_fingerprint=members_fingerprint,
        )

    def predict(self, predictions: SplitPredictions, targets: Targets) -> pd.DataFrame:
        """Frame table of the ensemble's predictions for a split; see `values`."""
        return frame_table(predictions.frames, predictions.expressions, self.values(predictions, targets))

    def values(self, predictions: SplitPredictions, targets: Targets) -> npt.NDArray[np.float32]:
        """The ensemble's predictions (F, C) for a split, within the targets' range.

        Raises:
            PredictionError: a member of this recipe has no predictions.
        """
        predictions = predictions.of_members(self.members)
        values = np.empty((len(predictions.frames), len(predictions.expressions)), dtype=np.float32)
        timestamps_us = predictions.frames["timestamp_us"].to_numpy(np.int64)
        for video_id, (start, stop) in zip(predictions.video_ids, pairwise(predictions.offsets.tolist()), strict=True):
            members = [predictions.members[name][start:stop] for name in self.members]
            values[start:stop] = self.curves(video_id, members, timestamps_us[start:stop], targets)
        return values

    def curves(
        self,
        video_id: str,
        members: Sequence[npt.NDArray[np.floating[Any]]],
        timestamps_us: npt.NDArray[np.int64],
        targets: Targets,
    ) -> npt.NDArray[np.float32]:
        """The ensemble's predictions (n, C) for one video, within the targets' range.

        Args:
            members: predictions (n, C) of each member, in the recipe's order.
            timestamps_us: (n,) ascending presentation times.
        """
        offsets = np.array([0, len(timestamps_us)])
        combined = combine(members, offsets, self._weights_of(video_id), targets, standardised=self.standardised)
        return self.reacted(video_id, combined, timestamps_us).astype(np.float32)

    def gains(
        self, video_id: str, members: Sequence[npt.NDArray[np.floating[Any]]], targets: Targets
    ) -> npt.NDArray[np.float64]:
        """(M, C): how much of each member's curve is in the combined one; see `mgn_ma.evaluation.ensembling.gains`."""
        return gains(members, self._weights_of(video_id), targets, standardised=self.standardised)

    def reacted(
        self, video_id: str, values: npt.NDArray[np.floating[Any]], timestamps_us: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.floating[Any]]:
        """Viewers' reaction to combined curves (n, C) of one video, which is linear in them."""
        reaction = self.video_reactions.get(video_id, self.reaction)
        return values if reaction is None else reaction.apply(values, timestamps_us)

    def _weights_of(self, video_id: str) -> npt.NDArray[np.float64]:
        return np.array(self.video_weights.get(video_id, self.weights))


def labelled_curves(
    learned: LearnedMethod,
    predictions: SplitPredictions,
    labels: npt.NDArray[np.floating[Any]],
    targets: Targets,
    config: EnsemblingConfig,
) -> LabelledCurves:
    """The curves of a learned method, from which viewers' reaction can be learned on the same folds."""
    members, offsets = list(predictions.members.values()), predictions.offsets
    fold_of_video = deal_folds(len(predictions.video_ids), config)

    def combined(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        return combine(members, offsets, weights, targets, standardised=learned.standardised)

    whole = combined(learned.weights)

    def without_fold(fold: int) -> npt.NDArray[np.float32]:
        weights = learned.video_weights[np.flatnonzero(fold_of_video == fold)[0]]
        return whole if np.array_equal(weights, learned.weights) else combined(weights)

    timestamps_us = predictions.frames["timestamp_us"].to_numpy(np.int64)
    return LabelledCurves(whole, without_fold, labels, timestamps_us, offsets, fold_of_video)
