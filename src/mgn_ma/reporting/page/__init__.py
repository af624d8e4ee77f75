"""One self-contained HTML page a video: its curves, its moments and why they happen; and a page that lists pages."""

from mgn_ma.reporting.page.render import PageMoment, PageVideo, render_index, render_page

__all__ = ["PageMoment", "PageVideo", "render_index", "render_page"]
