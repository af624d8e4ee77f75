"""What a modality is. Which there are is in :mod:`mgn_ma.modalities`, which imports the packages that add one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Granularity = Literal["frame", "clip", "video"]

Source = Literal["video", "audio", "captions", "title"]
"""What an extractor reads; a video that lacks it has no track of that modality and is accounted as ``absent``."""


@dataclass(frozen=True, slots=True)
class Modality:
    """One line of the table.

    Attributes:
        name: of its folder, its parameters and its place in the model.
        granularity: what one of its vectors stands for; its pipeline is ``<granularity>_features``.
        source: what its extractor reads of a video; ``None``: it is learned from other modalities.
        in_model: whether MGN-MA reads it.
        label: what readers take it for; its name where not given.
    """

    name: str
    granularity: Granularity
    source: Source | None
    in_model: bool = True
    label: str = ""
