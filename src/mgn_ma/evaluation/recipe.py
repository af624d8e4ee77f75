"""What has to be kept of an ensemble to predict with it again: its members, its method and their weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.configuration import Configuration
from mgn_ma.eev.targets import Targets
from mgn_ma.evaluation.ensembling import EnsemblingMethod, LearnedMethod, combine
from mgn_ma.evaluation.predictions import PredictionError, SplitPredictions, frame_table


class EnsembleRecipe(Configuration):
    """How the members' predictions become the ensemble's."""

    method: EnsemblingMethod
    standardised: bool
    """Whether members are standardised within each video before they are weighted."""
    members: tuple[str, ...]
    weights: tuple[float, ...]
    """One a member, for every video but those below."""
    video_weights: dict[str, tuple[float, ...]]
    """For the videos that the weights were learned on: weights learned without them."""

    @classmethod
    def from_learned(
        cls, method: EnsemblingMethod, learned: LearnedMethod, members: list[str], video_ids: list[str]
    ) -> EnsembleRecipe:
        """The recipe of a method that was learned on the videos ``video_ids`` (V)."""
        return cls(
            method=method,
            standardised=learned.standardised,
            members=tuple(members),
            weights=tuple(learned.weights.tolist()),
            video_weights={
                video_id: tuple(weights)
                for video_id, weights in zip(video_ids, learned.video_weights.tolist(), strict=True)
            },
        )

    def predict(self, predictions: SplitPredictions, targets: Targets) -> pd.DataFrame:
        """Frame table of the ensemble's predictions for a split; see `values`."""
        return frame_table(predictions.frames, predictions.expressions, self.values(predictions, targets))

    def values(self, predictions: SplitPredictions, targets: Targets) -> npt.NDArray[np.float32]:
        """The ensemble's predictions (F, C) for a split, within the targets' range.

        Raises:
            PredictionError: the predictions are not of this recipe's members.
        """
        if set(predictions.members) != set(self.members):
            raise PredictionError(
                f"the ensemble is made of {', '.join(self.members)}, but the predictions are of "
                f"{', '.join(predictions.members)}; learn the ensemble again"
            )
        weights = np.array([self.video_weights.get(video_id, self.weights) for video_id in predictions.video_ids])
        members = [predictions.members[name] for name in self.members]
        return combine(members, predictions.offsets, weights, targets, standardised=self.standardised)
