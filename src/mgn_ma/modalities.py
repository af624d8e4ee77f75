"""The one table of modalities, of which pipelines, model input, promotion, prediction and catalog patterns are made.

The paper has five (section 2.1); ``title`` is what its video-level network reads besides. A package adds one of its own
by an entry point, without a change here (docs/add-a-modality.md)::

    [project.entry-points."mgn_ma.modalities"]
    faces = "faces:FACES"
"""

from __future__ import annotations

from importlib.metadata import entry_points

from mgn_ma.modality import Granularity, Modality

ENTRY_POINTS = "mgn_ma.modalities"

VIDEO = Modality("video", "video", source=None, label="whole video")
"""The video-level vector, one a video (section 2.1.3)."""

MODALITIES: tuple[Modality, ...] = (
    Modality("image", "frame", source="video", label="picture"),
    Modality("audio", "frame", source="audio", label="sound"),
    Modality("action", "clip", source="video", label="motion"),
    Modality("subtitle", "clip", source="captions", label="captions"),
    Modality("title", "video", source="title", in_model=False),
    VIDEO,
    *(found.load() for found in sorted(entry_points(group=ENTRY_POINTS), key=lambda found: found.name)),
)

BY_NAME = {modality.name: modality for modality in MODALITIES}
EXTRACTED = tuple(modality.name for modality in MODALITIES if modality.source is not None)
IN_MODEL = tuple(modality.name for modality in MODALITIES if modality.in_model)
"""In the order of the concatenation."""
NOT_IN_MODEL = tuple(modality.name for modality in MODALITIES if not modality.in_model)
"""What only learned modalities are made from."""


def extracted(granularity: Granularity) -> tuple[str, ...]:
    """Names of the modalities of one granularity that extractors serve."""
    return tuple(name for name in EXTRACTED if BY_NAME[name].granularity == granularity)
