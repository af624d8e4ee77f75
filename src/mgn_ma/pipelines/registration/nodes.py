"""The node that puts an ensemble together; where it is registered is the catalog's business. docs/registry.md."""

from typing import Any

from mgn_ma.evaluation.recipe import EnsembleRecipe
from mgn_ma.features.settings import Modalities
from mgn_ma.inference.assembly import assemble, require_of_members, scores_of
from mgn_ma.inference.bundle import Bundle
from mgn_ma.training.checkpoints import Checkpoint
from mgn_ma.training.config import VideoLevelSettings
from mgn_ma.training.current import require_current, require_trained_on
from mgn_ma.training.packed import PackedSplit


def bundle_ensemble(
    members: dict[str, Checkpoint],
    video_level_networks: dict[str, Checkpoint],
    ensemble_recipe: dict[str, Any],
    evaluation: dict[str, Any],
    data_fingerprint: dict[str, Any],
    modalities: Modalities,
    video_level: VideoLevelSettings,
    trained_on: str,
    *splits: PackedSplit,
) -> Bundle:
    """The ensemble as one thing: networks, recipe, what made their input, scores, and which data taught them.

    Raises:
        TrainingError: the members are not of the ``splits`` that are packed, or those not of today's data.
        BundleError: a part belongs to other members.
    """
    require_current(splits, data_fingerprint, modalities)
    require_trained_on(members, splits)
    recipe = EnsembleRecipe.model_validate(ensemble_recipe)
    require_of_members(members, recipe=recipe.members_fingerprint, evaluation=evaluation.get("members_fingerprint"))
    return assemble(
        {name: members[name] for name in recipe.members},
        video_level_networks,
        recipe,
        modalities.configs(),
        video_level,
        trained_on=trained_on,
        scores=scores_of(evaluation),
        data_fingerprint=str(data_fingerprint["fingerprint"]),
    )
