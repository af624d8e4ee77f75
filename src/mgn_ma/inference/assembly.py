"""Puts an ensemble together as one bundle, from what training, ensembling and evaluation have left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mgn_ma import __version__
from mgn_ma.evaluation.recipe import EnsembleRecipe
from mgn_ma.evaluation.scoring import ENSEMBLE
from mgn_ma.extractors.base import ExtractorConfig
from mgn_ma.inference.bundle import Bundle, BundleDescription
from mgn_ma.inference.model import BundleError, ExtractorContract
from mgn_ma.modalities import VIDEO
from mgn_ma.training.checkpoints import Checkpoint, networks_fingerprint
from mgn_ma.training.config import VideoLevelSettings


def assemble(
    members: Mapping[str, Checkpoint],
    video_networks: Mapping[str, Checkpoint],
    recipe: EnsembleRecipe,
    extractors: Mapping[str, ExtractorConfig],
    video_level: VideoLevelSettings,
    *,
    trained_on: str = "",
    scores: Mapping[str, Any],
    data_fingerprint: str | None,
) -> Bundle:
    """Check that everything belongs together, and keep of it what a prediction needs.

    Args:
        video_networks: the video-level networks, of which new videos get the vectors of the one trained on all.
        extractors: configurations by modality; those that no network reads are left out.
        video_level: settings that the video-level networks were trained with.
        trained_on: in words for people; "" says nothing.
        scores: for people, see `scores_of`.

    Raises:
        BundleError: a part belongs to another run than the rest.
    """
    if not members:
        raise BundleError("there are no members to make a model of")
    read_by_members = {name for member in members.values() for name in member.inputs}
    video_network = None
    if VIDEO.name in read_by_members:
        from mgn_ma.training.video_level import FULL

        _require_same_video_level(members, networks_fingerprint(video_networks))
        video_network = video_networks[FULL]
    read = read_by_members | set(video_network.inputs if video_network else ())
    description = BundleDescription(
        targets=next(iter(members.values())).description.targets,
        extractors={name: ExtractorContract.of(config) for name, config in extractors.items() if name in read},
        video_level=video_level.model_copy(update={"device": "auto"}),
        recipe=recipe,
        trained_on=trained_on,
        scores=dict(scores),
        data_fingerprint=data_fingerprint,
        code_version={"mgn_ma": __version__},
    )
    return Bundle(description, dict(members), video_network)


def require_of_members(members: Mapping[str, Checkpoint], **parts: str | None) -> None:
    """Refuse what was learned from, or says how well, other members predict.

    Args:
        parts: by name, the fingerprint of the members that each is of.

    Raises:
        BundleError: the message names the part, and the command that makes it again.
    """
    fingerprint = networks_fingerprint(members)
    for name, of_members in parts.items():
        if of_members != fingerprint:
            raise BundleError(
                f"the ensemble's {name} is of other members than there are now: run "
                "`kedro run --pipelines evaluation,ensembling,reporting`"
            )


def scores_of(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle says of its quality: the ensemble's scores with their intervals, and that of each expression."""
    validation, holdout = evaluation["validation"], evaluation.get("holdout")
    return {
        "validation": validation[ENSEMBLE],
        "interval": validation["intervals"][ENSEMBLE],
        "holdout": holdout["intervals"][ENSEMBLE] if holdout else None,
        "per_expression": validation["per_expression"],
        "n_videos": evaluation["n_videos"],
        "method": evaluation["method"],
    }


def _require_same_video_level(members: Mapping[str, Checkpoint], fingerprint: str) -> None:
    for name, member in members.items():
        read = member.inputs.get(VIDEO.name)
        if read is not None and read.fingerprint != fingerprint:
            raise BundleError(
                f"{name} was trained on the vectors of video-level networks {read.fingerprint[:12]}, and these are "
                f"{fingerprint[:12]}: train again with the networks that are there"
            )
