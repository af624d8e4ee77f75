"""All figures of a run on one page that needs no network and no server."""

from __future__ import annotations

import html
from collections.abc import Mapping

import plotly.graph_objects as go

_CONFIG = {"displaylogo": False, "responsive": True}


def figures_page(figures: Mapping[str, go.Figure], title: str) -> str:
    """HTML with plotly's script inside once; ``figures`` by the anchor that their section gets.

    Plotly writes a figure's text as JSON with ``<`` and ``>`` escaped, so nothing in it ends the script around it.
    """
    from plotly.offline import get_plotlyjs  # brings IPython along

    sections = "\n".join(_section(name, figure) for name, figure in figures.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
body {{ margin: 0 auto; max-width: 1100px; padding: 1rem; font: 16px Helvetica, Arial, sans-serif; color: #1b1f24; }}
section {{ margin: 0 0 2.5rem; }}
</style>
<script>{get_plotlyjs()}</script>
</head>
<body>
<h1>{html.escape(title)}</h1>
{sections}
</body>
</html>
"""


def _section(name: str, figure: go.Figure) -> str:
    drawing = figure.to_html(full_html=False, include_plotlyjs=False, config=_CONFIG)
    return f'<section id="{html.escape(name)}">{drawing}</section>'
