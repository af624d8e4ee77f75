"""One self-contained HTML page a video: its curves, its moments and why they happen; and a page that lists pages.

Two predictions that are compared have a page of their own.
"""

from mgn_ma.reporting.page.comparison import PageComparison, PageSide, passage_text, render_comparison
from mgn_ma.reporting.page.render import PageMoment, PageVideo, render_index, render_page

__all__ = [
    "PageComparison",
    "PageMoment",
    "PageSide",
    "PageVideo",
    "passage_text",
    "render_comparison",
    "render_index",
    "render_page",
]
