"""The node that packs a split as training reads it."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mgn_ma.eev.frames import KEY_COLUMNS, Split, annotated_as, table_digest
from mgn_ma.eev.targets import Targets
from mgn_ma.features.extraction import require_accounted
from mgn_ma.features.plan import ExtractionSettings, require_planned
from mgn_ma.features.settings import Modalities
from mgn_ma.features.track import TrackError
from mgn_ma.features.view import TrackView
from mgn_ma.media.manifest import changed_files, videos_digest
from mgn_ma.modalities import EXTRACTED, NOT_IN_MODEL
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.packing import PackPlan, pack
from mgn_ma.training.video_tracks import VectorTracks

logger = logging.getLogger(__name__)


def pack_split(split: Split) -> Callable[..., PackedSplit]:
    """The node function that packs ``split``; a factory, so that Kedro sees the types of what the node takes."""

    def pack_tracks(
        labels: pd.DataFrame,
        annotations_digest: str | None,
        data_fingerprint: dict[str, Any],
        manifest: pd.DataFrame,
        account: pd.DataFrame,
        targets: Targets,
        modalities: Modalities,
        extraction: ExtractionSettings,
        folder: str,
        *tracks: TrackView | VectorTracks,
    ) -> PackedSplit:
        """Pack the frames of the split's videos and the vectors that serve them; what stands already is kept.

        Tracks that the model does not read are not packed: learned ones are compared with them. The hold-out, which may
        have no video at all, is packed without its labels.

        Raises:
            TrackError: a file changed after ingestion, the tracks are not those of the account, the manifest and the
                parameters, learned ones were made from others than there are now, or no video has any.
        """
        _require_ingested(split, annotations_digest, data_fingerprint, manifest)
        on_disk = [view for view in tracks if isinstance(view, TrackView)]
        require_planned(on_disk, manifest, modalities)
        for of_disk in on_disk:
            if of_disk.modality in EXTRACTED:
                require_accounted(account, of_disk)
        there = {view.modality: view for view in tracks if len(view) and view.modality not in NOT_IN_MODEL}
        for view in tracks:
            if not len(view) and view.modality not in NOT_IN_MODEL:
                logger.warning("No video has a %s track: %s is packed without it", view.modality, split)
        labels_digest = table_digest(labels)
        plan = PackPlan(
            split=split,
            frames=_of_videos_with_tracks(split, labels[[*KEY_COLUMNS]] if split == "holdout" else labels, there),
            targets=targets,
            tracks=there,
            tolerances_us={name: modalities.tolerance_us(name) for name in there},
            sources={view.modality: view for view in tracks},
            labels_digest=labels_digest,
            made_from={"labels": labels_digest, "videos": videos_digest(manifest)},
        )
        return pack(plan, Path(folder) / split, verify=extraction.verify)

    return pack_tracks


def _require_ingested(
    split: Split, annotations_digest: str | None, data_fingerprint: Mapping[str, Any], manifest: pd.DataFrame
) -> None:
    """Refuse annotations, videos or captions that have changed since ingestion looked at them; absent ones may have."""
    changed = changed_files(manifest[manifest["split"] == split])
    annotations = f"annotations_{annotated_as(split)}"
    if annotations_digest not in (None, data_fingerprint.get(annotations)):
        changed.insert(0, f"the file of {annotations}")
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise TrackError(
            f"{changed[0]}{more} changed after ingestion: run `kedro run --pipelines "
            "ingestion,frame_features,clip_features,video_features,model_input`"
        )


def _of_videos_with_tracks(
    split: Split, labels: pd.DataFrame, tracks: Mapping[str, TrackView | VectorTracks]
) -> pd.DataFrame:
    known = set().union(*tracks.values())
    kept = labels["video_id"].isin(known).to_numpy()
    if not kept.all():
        n_left_out = labels.loc[~kept, "video_id"].nunique()
        logger.info("%s: %d videos without any track are left out", split, n_left_out)
        labels = labels[kept].reset_index(drop=True)
    if not np.any(kept) and split != "holdout":
        raise TrackError(f"no video of the {split} split has any track; the account says why")
    return labels
