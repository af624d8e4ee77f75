"""tracks · labels · account -> per split, one packed matrix a modality and one index: frame -> row in each matrix."""

from kedro.pipeline import Node, Pipeline

from mgn_ma.eev.frames import SPLITS, annotated_as
from mgn_ma.modalities import IN_MODEL, NOT_IN_MODEL

from .nodes import pack_split

TRACKS = [f"{name}.tracks" for name in (*IN_MODEL, *NOT_IN_MODEL)]

PACKED = [f"{split}_input" for split in SPLITS]


def create_pipeline() -> Pipeline:
    """The pipeline between the features and training; it waits for the account of the extraction."""
    return Pipeline(
        [
            Node(
                pack_split(split),
                [
                    f"labels_{split}",
                    f"annotations_digest_{annotated_as(split)}",
                    "data_fingerprint",
                    "manifest",
                    "extraction_account",
                    "params:targets",
                    "params:modalities",
                    "params:extraction",
                    "model_input_folder",
                    *TRACKS,
                ],
                f"{split}_input",
                name=f"pack_{split}",
            )
            for split in SPLITS
        ],
        namespace="model_input",
        prefix_datasets_with_namespace=False,
    )
