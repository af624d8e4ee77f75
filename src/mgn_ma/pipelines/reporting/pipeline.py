"""scores · calibration -> evaluation; curves, predictions and attention of one video -> five figures -> one page."""

from kedro.pipeline import Node, Pipeline

from mgn_ma.reporting.correlations import expression_correlation_figure
from mgn_ma.reporting.learning_curves import learning_curves_figure, video_level_curves_figure

from .nodes import choose_example_video, draw_attention, draw_curves, draw_page, report_evaluation


def create_pipeline() -> Pipeline:
    """The pipeline that reports and draws; registration takes the scores from its report."""
    return Pipeline(
        [
            Node(
                report_evaluation,
                [
                    "video_scores",
                    "ensemble_scores",
                    "ensemble_recipe",
                    "ensembling_methods",
                    "ensembling_reactions",
                    "calibration_by_expression",
                    "params:evaluation",
                ],
                "evaluation",
                name="report_evaluation",
            ),
            Node(learning_curves_figure, "learning_curves", "learning_curves_figure", name="draw_learning_curves"),
            Node(
                video_level_curves_figure,
                "video_level_learning_curves",
                "video_level_curves_figure",
                name="draw_video_level_curves",
            ),
            Node(
                expression_correlation_figure,
                "evaluation",
                "expression_correlation_figure",
                name="draw_expression_correlation",
            ),
            Node(
                choose_example_video,
                ["ensemble_predictions", "labels_validation", "params:reporting"],
                "example_video",
                name="choose_example_video",
            ),
            Node(
                draw_curves,
                ["ensemble_predictions", "labels_validation", "example_video", "params:targets"],
                "curves_figure",
                name="draw_curves",
            ),
            Node(draw_attention, ["member_attention", "example_video"], "attention_figure", name="draw_attention"),
            Node(
                draw_page,
                [
                    "expression_correlation_figure",
                    "curves_figure",
                    "attention_figure",
                    "learning_curves_figure",
                    "video_level_curves_figure",
                ],
                "figures_page",
                name="draw_page",
            ),
        ],
        namespace="reporting",
        prefix_datasets_with_namespace=False,
    )
