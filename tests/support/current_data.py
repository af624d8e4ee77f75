"""Stand-ins for what predictions that nobody computed were made from, for pipelines that look at it."""

from types import SimpleNamespace

from mgn_ma.eev.frames import SPLITS
from mgn_ma.features.settings import Modalities
from mgn_ma.training.current import MADE_FROM, MEMBERS


def beside(predictions):
    """Datasets by name: the predictions as those of packed splits, these splits, and the data that they are of."""
    splits = {
        split: SimpleNamespace(
            description=SimpleNamespace(
                split=split, fingerprint=f"{split} split", made_from={"labels": f"{split} labels", "videos": "videos"}
            ),
            modalities={},
        )
        for split in SPLITS
    }
    made = predictions.copy()
    made.attrs[MADE_FROM] = {MEMBERS: "members", **{split: f"{split} split" for split in SPLITS}}
    return {
        "member_predictions": made,
        **{f"{split}_input": packed for split, packed in splits.items()},
        "data_fingerprint": {"videos": "videos", **{f"labels_{split}": f"{split} labels" for split in SPLITS}},
        "params:modalities": Modalities({}),
    }
