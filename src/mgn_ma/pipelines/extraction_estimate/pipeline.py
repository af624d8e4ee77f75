"""A dry run of all extractions: ``kedro run --pipelines extraction_estimate`` after ``ingestion``."""

from kedro.pipeline import Node, Pipeline

from mgn_ma.pipelines.extraction import EXTRACTED
from mgn_ma.pipelines.extraction_estimate.nodes import estimate_extraction


def create_pipeline(**_: object) -> Pipeline:
    """``manifest`` and what is on disk in; ``extraction_estimate`` out."""
    parameters = ["params:modalities", "params:extractors", "params:extraction", "params:execution"]
    on_disk = [f"{modality}.tracks_on_disk" for modality in EXTRACTED]
    return Pipeline(
        [
            Node(
                estimate_extraction,
                inputs=["manifest", *parameters, *on_disk],
                outputs="extraction_estimate",
                name="estimate_extraction",
            )
        ]
    )
