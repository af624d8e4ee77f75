"""The node that puts an ensemble together; where it is registered is the catalog's business. docs/registry.md."""

from typing import Any

from mgn_ma.evaluation.recipe import EnsembleRecipe
from mgn_ma.features.settings import Modalities
from mgn_ma.inference.assembly import assemble, scores_of
from mgn_ma.inference.bundle import Bundle
from mgn_ma.training.checkpoints import Checkpoint
from mgn_ma.training.config import VideoLevelSettings


def bundle_ensemble(
    members: dict[str, Checkpoint],
    video_level_networks: dict[str, Checkpoint],
    ensemble_recipe: dict[str, Any],
    evaluation: dict[str, Any],
    data_fingerprint: dict[str, Any],
    modalities: Modalities,
    video_level: VideoLevelSettings,
    trained_on: str,
) -> Bundle:
    """The ensemble as one thing: networks, recipe, what made their input, scores, and which data taught them."""
    return assemble(
        members,
        video_level_networks,
        EnsembleRecipe.model_validate(ensemble_recipe),
        modalities.configs(),
        video_level,
        trained_on=trained_on,
        scores=scores_of(evaluation),
        data_fingerprint=str(data_fingerprint["fingerprint"]),
    )
