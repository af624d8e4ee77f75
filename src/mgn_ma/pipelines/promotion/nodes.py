"""Nodes that decide which version of the registered model is used. docs/registry.md."""

from typing import Any

import pandas as pd

from mgn_ma.errors import MGNMAError
from mgn_ma.evaluation.promotion import PromotionConfig
from mgn_ma.evaluation.report import json_values
from mgn_ma.evaluation.scoring import EvaluationConfig
from mgn_ma.features.view import TrackView
from mgn_ma.inference.rescoring import ComparisonVideos
from mgn_ma.tracking.promotion import promote
from mgn_ma.tracking.registry import ModelRegistry
from mgn_ma.tracking.versions import RegisteredVersion


class PromotionRefusedError(MGNMAError):
    """Challenger and champion can't be compared; the message names the difference."""


def decide_promotion(
    challenger: RegisteredVersion | None,
    model_registry: ModelRegistry,
    labels_validation: pd.DataFrame,
    labels_holdout: pd.DataFrame,
    data_fingerprint: dict[str, Any],
    promotion: PromotionConfig,
    evaluation: EvaluationConfig,
    *tracks: TrackView,
) -> dict[str, Any]:
    """The decision on the challenger, by the hold-out if there is one, or on the version that was asked for."""
    by_modality = {view.modality: view for view in tracks}
    holdout = None if labels_holdout.empty else str(data_fingerprint["labels_holdout"])
    labels = labels_holdout if holdout else labels_validation
    videos = ComparisonVideos(labels, by_modality, str(data_fingerprint["fingerprint"]), holdout)
    decision = promote(model_registry, challenger, videos, promotion, evaluation)
    return json_values({**decision.model_dump(), "dry_run": promotion.dry_run})


def require_comparable(promotion: dict[str, Any]) -> None:
    """Let the run fail after its report is written, so that whoever started it hears of it.

    Raises:
        PromotionRefusedError: the report says ``refused``.
    """
    if promotion["outcome"] == "refused":
        raise PromotionRefusedError(f"Version {promotion['version']} was not promoted: {promotion['reason']}")
