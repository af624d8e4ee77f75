"""Refuses packed splits, members and predictions that were made from other data than there are now.

What is derived says what it was made from: a packed split names the labels, videos and extractors, a member the splits
that it was trained on, a table of predictions the members and the splits. A part of the chain that runs alone compares
them with what stands before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from mgn_ma.features.plan import fingerprint_if_known
from mgn_ma.features.settings import Modalities
from mgn_ma.modalities import BY_NAME, EXTRACTED
from mgn_ma.training.checkpoints import Checkpoint, networks_fingerprint
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.packed import PackedSplit

MADE_FROM = "made_from"
"""Of a table of predictions: the attribute that `predicted_from` gives."""
MEMBERS = "members"


def require_current(
    splits: Iterable[PackedSplit],
    data: Mapping[str, str],
    modalities: Modalities,
    *,
    pipeline: str = "model_input",
) -> None:
    """Refuse a packed split of other labels, videos or extractors than there are now.

    Args:
        data: digests of ``videos`` and of ``labels_<split>``, as ingestion has found them.
        modalities: the parameter; an extractor whose weights are not on this machine is taken to be the same.
        pipeline: the one that packs them.

    Raises:
        TrainingError: the message names the split, what differs, and the command that packs it anew.
    """
    for split in splits:
        name, made_from = split.description.split, split.description.made_from
        now = {"labels": data.get(f"labels_{name}"), "videos": data.get("videos")}
        differing = [what for what, digest in now.items() if made_from.get(what) != digest]
        differing += [
            f"{modality} tracks" for modality in split.modalities if not _is_read(split, modality, modalities)
        ]
        if differing:
            raise TrainingError(
                f"the {name} split was packed from other {' and '.join(differing)} than there are now: run "
                f"`kedro run --pipelines {pipeline}`"
            )


def _is_read(split: PackedSplit, modality: str, modalities: Modalities) -> bool:
    """Whether the parameters have the modality, with the extractor whose vectors were packed."""
    if modality not in modalities:
        return modality not in BY_NAME
    if modality not in EXTRACTED:
        return True
    return fingerprint_if_known(modalities.config(modality)) in (None, split.modalities[modality].fingerprint)


def require_trained_on(
    members: Mapping[str, Checkpoint], splits: Iterable[PackedSplit], *, pipeline: str = "training"
) -> None:
    """Refuse members that were trained on other train or validation splits than are packed now.

    Args:
        pipeline: the one that trains them.

    Raises:
        TrainingError: the message names the member, the split, and the command that trains it again.
    """
    for name, member in members.items():
        for split in splits:
            packed = split.description
            if member.description.training.get(f"{packed.split}_fingerprint") != packed.fingerprint:
                raise TrainingError(
                    f"{name} was trained on another {packed.split} split than is packed now: run "
                    f"`kedro run --pipelines {pipeline}`"
                )


def predicted_from(members: Mapping[str, Checkpoint], splits: Iterable[PackedSplit]) -> dict[str, str]:
    """What the members' predictions are made from: the fingerprint of all members, and that of each split."""
    packed = {split.description.split: split.description.fingerprint for split in splits}
    return {MEMBERS: networks_fingerprint(members), **packed}


def require_predicted_from(predictions: pd.DataFrame, splits: Iterable[PackedSplit]) -> None:
    """Refuse predictions of, or by members of, other splits than are packed now.

    Raises:
        TrainingError: the message names the split, and the command that trains and predicts again.
    """
    made_from = predictions.attrs.get(MADE_FROM, {})
    for split in splits:
        if made_from.get(split.description.split) != split.description.fingerprint:
            raise TrainingError(
                f"the members' predictions were made from another {split.description.split} split than is packed now: "
                "run `kedro run --pipelines training`"
            )


def members_of(predictions: pd.DataFrame) -> str:
    """Fingerprint of the members that a table of predictions is of; "" where it doesn't say."""
    return str(predictions.attrs.get(MADE_FROM, {}).get(MEMBERS, ""))
