"""What a page that we write lets the browser do: run the scripts that we put in, and load nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable


def content_policy(*, scripts: Iterable[str] = (), styles: Iterable[str] | None = (), more: str = "") -> str:
    """A content security policy.

    Args:
        scripts: the text of each script element, to the letter.
        styles: likewise of each style element; ``None`` lets anything on the page style it.
        more: further directives, such as where pictures may come from.
    """
    script_sources = " ".join(map(_source, scripts)) or "'none'"
    style_sources = "'unsafe-inline'" if styles is None else " ".join(map(_source, styles)) or "'none'"
    return (
        f"default-src 'none'; script-src {script_sources}; style-src {style_sources}; "
        f"base-uri 'none'; form-action 'none'; {more}"
    ).rstrip("; ")


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"
