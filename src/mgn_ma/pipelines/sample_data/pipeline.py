"""sample settings -> plan of the videos -> raw videos · annotations · truth."""

from kedro.pipeline import Node, Pipeline

from .nodes import annotate_sample, keep_truth, plan_sample, render_sample

TRUTH = ("truth_train", "truth_validation", "truth_test", "truth_test_labels", "truth_videos")


def create_pipeline() -> Pipeline:
    """The pipeline that stands before ingestion where there are no data of one's own."""
    return Pipeline(
        [
            Node(plan_sample, "params:sample", "sample_plan", name="plan_sample"),
            Node(
                render_sample, ["sample_plan", "params:sample", "raw_videos_folder"], "raw_videos", name="render_sample"
            ),
            Node(
                annotate_sample,
                ["sample_plan", "params:sample"],
                ["annotations_train", "annotations_validation", "annotations_test"],
                name="annotate_sample",
            ),
            Node(keep_truth, ["sample_plan", "params:sample"], {name: name for name in TRUTH}, name="keep_truth"),
        ],
    )
