"""A dry run of all extractions: ``kedro run --pipelines extraction_estimate`` after ``ingestion``."""

from kedro.pipeline import Node, Pipeline

from mgn_ma.modalities import EXTRACTED
from mgn_ma.pipelines.extraction_estimate.nodes import estimate_extraction


def create_pipeline() -> Pipeline:
    """``manifest`` and what is on disk in; ``extraction_estimate`` out."""
    parameters = ["params:modalities", "params:extraction", "params:execution"]
    on_disk = [f"{name}.tracks_on_disk" for name in EXTRACTED]
    return Pipeline(
        [
            Node(
                estimate_extraction,
                ["manifest", *parameters, *on_disk],
                "extraction_estimate",
                name="estimate_extraction",
            )
        ]
    )
