"""The trained ensemble as one thing: members, video-level network, how they combine, and what they must be given.

A bundle is a folder: ``bundle.json`` and one checkpoint a network (safetensors and JSON, nothing pickled). Whoever has
it, this package and the weights of the extractors can predict; no repository and no catalog is needed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from mgn_ma.evaluation.recipe import EnsembleRecipe
from mgn_ma.extractors.base import ExtractorConfig
from mgn_ma.files import Folder
from mgn_ma.inference.model import DESCRIPTION, BundleError, ModelDescription, configs_of
from mgn_ma.modalities import VIDEO
from mgn_ma.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from mgn_ma.training.config import VideoLevelSettings

if TYPE_CHECKING:
    from mgn_ma.inference.predictor import Predictor

FORMAT: Final = 2
_MEMBER_NAME = re.compile(r"\w[\w-]{,49}")


class BundleDescription(ModelDescription):
    """The content of an ensemble's ``bundle.json``.

    Attributes:
        video_level: how the video-level network chooses and embeds its items.
        recipe: how the members' predictions become one.
    """

    format: Literal[2] = FORMAT
    video_level: VideoLevelSettings
    recipe: EnsembleRecipe


@dataclass(frozen=True)
class Bundle:
    """An ensemble at rest.

    Attributes:
        members: by the names of the recipe.
        video_network: makes the vector of a whole video; None where no member reads it.
    """

    description: BundleDescription
    members: Mapping[str, Checkpoint]
    video_network: Checkpoint | None

    def __post_init__(self) -> None:
        recipe = self.description.recipe
        if set(recipe.members) != set(self.members):
            raise BundleError(
                f"the recipe is for {', '.join(recipe.members)}; the members are {', '.join(self.members)}"
            )
        needed = {name for member in self.members.values() for name in member.inputs}
        if VIDEO.name in needed:
            if self.video_network is None:
                raise BundleError("members read the video-level vector, and there is no network that makes it")
            needed |= set(self.video_network.inputs)
        for name in sorted(needed - {VIDEO.name}):
            self._require_extractor(name)
        for name, member in self.members.items():
            _require_name(name)
            if member.description.targets != self.description.targets:
                raise BundleError(f"{name} predicts other targets than the bundle")

    def _require_extractor(self, modality: str) -> None:
        contract = self.description.extractors.get(modality)
        if contract is None:
            raise BundleError(f"members read the modality {modality!r}, and no extractor makes it")
        for network in self._networks:
            read = network.inputs.get(modality)
            if read is not None and read.fingerprint != contract.fingerprint:
                raise BundleError(
                    f"{modality}: a network was trained on tracks of extractor {read.fingerprint[:12]}, the bundle's "
                    f"extractor is {contract.fingerprint[:12]}"
                )

    @property
    def _networks(self) -> tuple[Checkpoint, ...]:
        members = (self.members[name] for name in self.description.recipe.members)
        return (*members, *([self.video_network] if self.video_network else []))

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that any member reads, in the order of the first one that does."""
        members = (self.members[name] for name in self.description.recipe.members)
        return tuple(dict.fromkeys(modality for member in members for modality in member.inputs))

    @property
    def widths(self) -> dict[str, int]:
        """Lengths of the vectors of the modalities that members read from tracks."""
        networks = (self.members[name] for name in self.description.recipe.members)
        return {name: read.width for network in networks for name, read in network.inputs.items() if name != VIDEO.name}

    @property
    def weights(self) -> tuple[float, ...]:
        """Of the members in the ensemble; they sum to 1."""
        return self.description.recipe.weights

    @property
    def caution(self) -> str:
        """Nothing: its scores say what it is worth."""
        return ""

    @property
    def method(self) -> str:
        """How its members' curves become one."""
        return self.description.recipe.method

    @property
    def in_words(self) -> str:
        """One sentence on what it is."""
        return f"{len(self.weights)} members, combined by {self.method}, reading {', '.join(self.modalities)}."

    def configs(self) -> dict[str, ExtractorConfig]:
        """The extractors that have to run, by modality; see `configs_of`."""
        return configs_of(self.description.extractors)

    def predictor(self, device: str = "auto") -> Predictor:
        """The ensemble, loaded onto a device."""
        from mgn_ma.inference.predictor import Predictor

        return Predictor(self, device=device)

    def reacted(
        self, video_id: str, values: npt.NDArray[np.floating[Any]], timestamps_us: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.floating[Any]]:
        """Viewers' reaction to curves (F, C) of a video."""
        return self.description.recipe.reacted(video_id, values, timestamps_us)

    def with_code_version(self, code_version: dict[str, str]) -> Bundle:
        """The same, made by this code."""
        return replace(self, description=self.description.model_copy(update={"code_version": code_version}))

    def save(self, folder: Folder) -> None:
        """Write it; see `save_bundle`."""
        save_bundle(self, folder)

    def digest(self) -> str:
        """Hex digest of what it predicts with and was trained on: equal for the same ensemble, registered twice."""
        described = self.description.model_dump_json(exclude={"format", "scores", "code_version"})
        return hashlib.sha256(
            (described + "".join(network.digest() for network in self._networks)).encode()
        ).hexdigest()


def save_bundle(bundle: Bundle, folder: Folder) -> None:
    """Write a bundle; its description comes last, so that half of one is none."""
    for name, member in bundle.members.items():
        save_checkpoint(member, folder, f"members/{name}")
    if bundle.video_network is not None:
        save_checkpoint(bundle.video_network, folder, "video_level")
    folder.write(DESCRIPTION, bundle.description.model_dump_json(indent=1).encode())


def load_bundle(folder: Folder) -> Bundle:
    """Read a bundle.

    Raises:
        BundleError: there is none, or of a format that this version does not read.
        CheckpointError: one of its networks is damaged.
    """
    content = folder.read(DESCRIPTION)
    if content is None:
        raise BundleError(f"there is no {DESCRIPTION} in {folder.root}")
    try:
        description = BundleDescription.model_validate_json(content)
    except ValueError as error:
        raise BundleError(
            f"{folder.root}/{DESCRIPTION} does not describe a bundle of format {FORMAT}, which this version reads: "
            "train and register again"
        ) from error
    for name in description.recipe.members:
        _require_name(name)
    members = {name: load_checkpoint(folder, f"members/{name}") for name in description.recipe.members}
    video_network = load_checkpoint(folder, "video_level") if folder.exists("video_level.json") else None
    return Bundle(description, members, video_network)


def _require_name(member: str) -> None:
    """Refuse what would be a path to somewhere else: a member's name is the name of its files."""
    if not _MEMBER_NAME.fullmatch(member):
        raise BundleError(
            f"{member[:100]!r} can't be a member's name: up to 50 letters, digits, '_' and '-' can be part of one"
        )
