"""Kedro-Viz shows how the nodes of the last whole run ended; this lets it know which runs are not whole."""

from __future__ import annotations

from typing import Any

from kedro.framework.hooks import hook_impl


class VizStatusHooks:
    """Tells Kedro-Viz 12.5, by the names that it looks for, what Kedro 1.7 calls ``pipeline_names`` and ``namespaces``.

    Else a run of one pipeline takes the place of the chain's status.
    """

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Name the pipelines of a run without the whole chain in it, and the namespaces of one that is a part of it."""
        names = run_params.get("pipeline_names") or ["__default__"]
        run_params["pipeline_name"] = None if "__default__" in names else ",".join(names)
        run_params["namespace"] = run_params.get("namespaces")
