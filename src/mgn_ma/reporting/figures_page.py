"""All figures of a run on one page that needs no network and no server."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

import plotly.graph_objects as go

from mgn_ma.reporting.content_policy import content_policy

_SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL)
_CONFIG = {"displaylogo": False, "responsive": True}


def figures_page(figures: Mapping[str, go.Figure], title: str) -> str:
    """HTML with plotly's script inside once; ``figures`` by the anchor that their section gets.

    Plotly writes a figure's text as JSON with ``<`` and ``>`` escaped, so nothing in it ends the script around it.
    """
    from plotly.offline import get_plotlyjs  # brings IPython along

    plotly = get_plotlyjs()
    drawings = {
        name: figure.to_html(full_html=False, include_plotlyjs=False, config=_CONFIG)
        for name, figure in figures.items()
    }
    scripts = [plotly, *(script for drawing in drawings.values() for script in _SCRIPT.findall(drawing))]
    # Plotly puts styles of its own into the page as it draws, and looks for them afterwards.
    policy = content_policy(scripts=scripts, styles=None, more="img-src data: blob:")
    sections = "\n".join(f'<section id="{html.escape(name)}">{drawing}</section>' for name, drawing in drawings.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{html.escape(title)}</title>
<style>
body {{ margin: 0 auto; max-width: 1100px; padding: 1rem; font: 16px Helvetica, Arial, sans-serif; color: #1b1f24; }}
section {{ margin: 0 0 2.5rem; }}
</style>
<script>{plotly}</script>
</head>
<body>
<h1>{html.escape(title)}</h1>
{sections}
</body>
</html>
"""
