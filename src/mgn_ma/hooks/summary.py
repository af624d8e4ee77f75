"""What a run says of itself: a line as each stage ends, and at the end the scores and where to go on."""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.framework.cli.utils import KedroCliError
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from mgn_ma.hooks.catalog_files import saved_file

logger = logging.getLogger(__name__)

REPORT = "evaluation"
PAGE = "figures_page"
REACTION = "centred"
"""Whose delay is told: an average of both sides delays nothing by itself."""
ROWS = {
    "oracle": "oracle",
    "ensemble": "ensemble",
    "time_only": "time only",
    "zero_shot": "zero-shot",
    "shuffled": "shuffled labels",
}
"""What a summary shows: keys of the report's intervals, and what a reader knows them as."""


class SummaryHooks:
    """Times the stages of a run, and sums up one that has scored an ensemble.

    Times are those of one node after the other; with a runner that runs several at once they say little.
    """

    def __init__(self) -> None:
        self._project_path = Path()
        self._env: str | None = None
        self._nodes: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._current: str | None = None
        self._since = 0.0
        self._report: Mapping[str, Any] | None = None
        self._page: str | None = None
        self._catalog: CatalogProtocol[Any, Any] | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Let Kedro tell of every node where it is called as ``kedro --verbose``."""
        self._project_path, self._env = Path(context.project_path), context.env
        if KedroCliError.VERBOSE_ERROR:
            logging.getLogger("kedro").setLevel(logging.INFO)

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Count the nodes of each stage."""
        self._catalog = catalog
        self._nodes = Counter(stage(node) for node in pipeline.nodes)
        self._done.clear()
        self._seconds.clear()
        self._current = self._report = self._page = None

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """End the node before, whose outputs are saved only now: a generator's are, one after the other."""
        self._end_node()
        self._current, self._since = stage(node), time.monotonic()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Remember what the summary is made of."""
        if dataset_name == REPORT:
            self._report = data
        if dataset_name == PAGE and self._catalog is not None:
            file = saved_file(self._catalog.get(dataset_name))
            self._page = None if file is None else file.path

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Log the summary, a line at a time."""
        self._end_node()
        if self._report is not None:
            for line in summary(self._report, self._relative(self._page), self._env):
                logger.info("%s", line)

    def _end_node(self) -> None:
        ended, self._current = self._current, None
        if ended is None:
            return
        self._seconds[ended] += time.monotonic() - self._since
        self._done[ended] += 1
        if self._done[ended] == self._nodes[ended]:
            logger.info("%s: done, %.1f s", ended, self._seconds[ended])

    def _relative(self, path: str | None) -> str | None:
        return path and path.removeprefix(f"{self._project_path}/")


def stage(node: Node) -> str:
    """The stage of a node: the first part of its namespace, or the pipeline that its function is from."""
    return (node.namespace or node.func.__module__.removesuffix(".nodes").rpartition(".")[2]).partition(".")[0]


def summary(report: Mapping[str, Any], page: str | None, env: str | None) -> Iterator[str]:
    """The lines that end a run: scores with their intervals, the page of figures, and what comes next.

    Args:
        report: ``validation.intervals`` has ``estimate``, ``low``, ``high`` and ``n_videos`` of each thing scored, and
            so have those of the hold-out and of test where there are such scores.
        page: path of the page of figures, if there is one.
        env: the configuration environment, for the commands.
    """
    intervals = report["validation"]["intervals"]
    scores = [score for score in report["validation"]["members"] if score is not None]
    yield f"Correlation on {intervals['ensemble']['n_videos']} validation videos, with 95 % intervals over videos:"
    for key, name in ROWS.items():
        if key in intervals:
            row = intervals[key]
            members = f"  members {min(scores):.3f} to {max(scores):.3f}" if scores and key == "ensemble" else ""
            yield f"  {name:<16} {_score(row)}{members}"
            if key == "ensemble":
                yield from _other_ensembles(intervals, report["ensemble"])
    for split, name in (("holdout", "hold-out"), ("test", "test")):
        if report[split] is not None:
            rows = report[split]["intervals"]
            yield f"On {rows['ensemble']['n_videos']} {name} videos, which chose nothing:"
            yield f"  {'ensemble':<16} {_score(rows['ensemble'])}"
            yield from _other_ensembles(rows, report["ensemble"])
    reactions = report["reactions"]
    fitted = reactions[REACTION]["fitted"]["all"]
    # Labels that never change within a video have no score, whatever is fitted to them.
    if reactions[REACTION]["score"] is not None and fitted["lag_interval"][0] is not None:
        low, high = fitted["lag_interval"]
        yield (
            f"Viewers react {fitted['lag_s']:.1f} s later [{low:.1f}, {high:.1f}]; with that (ensembling.reaction: "
            f"{REACTION}) the ensemble would have {reactions[REACTION]['score']:.3f}"
        )
    if page is not None:
        yield f"Figures: {page}"
    chosen = f" --env {env}" if env else ""
    yield "Next:"
    yield f"  kedro run{chosen} --pipelines promotion   # make this ensemble the champion, if it is the better one"
    yield "  mgn-ma predict VIDEO -o results              # the champion's curves of a video of yours, as a page"
    yield f"  kedro viz run{chosen} --include-hooks       # the pipelines as a graph, in the browser"


def _other_ensembles(intervals: Mapping[str, Any], chosen: str) -> Iterator[str]:
    """A line for each ensemble that was not chosen."""
    for key, row in intervals.items():
        of, _, name = key.partition(" ")
        if of == "ensemble" and name not in {"", chosen}:
            yield f"  {f'other: {name}':<16} {_score(row)}"


def _score(row: Mapping[str, Any]) -> str:
    """A score with its interval; of a single video, or of curves that never change, there is none."""
    if row["estimate"] is None:
        return " undefined"
    return f"{row['estimate']:6.3f}" + ("" if row["low"] is None else f"  [{row['low']:.3f}, {row['high']:.3f}]")
