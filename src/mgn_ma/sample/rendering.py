"""All videos of the sample into a folder: in several processes, each video whole or not at all, none made twice."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mgn_ma.execution import ExecutionConfig, ready, run
from mgn_ma.execution.progress import progress
from mgn_ma.files import write_atomically
from mgn_ma.sample.captions import automatic_captions
from mgn_ma.sample.movie import write_movie
from mgn_ma.sample.process import draw_signals
from mgn_ma.sample.script import VideoPlan
from mgn_ma.sample.speech import speak

logger = logging.getLogger(__name__)

RECORDS = ".rendered"
"""Folder beside the videos with one record a video: the fingerprint of its plan, and its files with their sizes."""

_UNFINISHED = "unfinished"


def render_videos(plans: Sequence[VideoPlan], folder: Path, workers: int) -> None:
    """Render the sample's videos that are missing in a folder of raw videos, which is made if need be.

    A video that is there already, whole and of the same plan, is left alone; one that an earlier sample had rendered
    here and this one doesn't have is removed. Files that were not rendered by us are never touched.

    Args:
        plans: every video, those that are deliberately missing from disk too.
        folder: where to.
        workers: processes that render.
    """
    wanted = [plan for plan in plans if "missing" not in plan.quirks]
    (folder / RECORDS / _UNFINISHED).mkdir(parents=True, exist_ok=True)
    _remove_others(folder, {plan.video_id for plan in wanted})
    todo = [plan for plan in wanted if not _is_rendered(plan, folder)]
    # The longest first, so that no process ends with a long one while the others wait.
    todo.sort(key=lambda plan: -plan.duration_us)
    logger.info("Sample: %d videos to render, %d are there already", len(todo), len(wanted) - len(todo))
    outcomes = run(ready(partial(render_video, folder)), todo, ExecutionConfig(workers=workers), isolated=False)
    errors = [outcome.error for outcome in progress(outcomes, len(todo), "sample videos") if outcome.error is not None]
    if errors:
        raise errors[0]


def render_video(folder: Path, plan: VideoPlan) -> str:
    """Write one video's files aside and move them into ``folder``; its record comes last and vouches for them."""
    video_id, unfinished = plan.video_id, folder / RECORDS / _UNFINISHED
    signals = draw_signals(plan.seed, video_id)
    movie, info = f"{video_id}.mp4", f"{video_id}.info.json"
    write_movie(plan, signals, unfinished / movie)
    (unfinished / info).write_text(json.dumps(_info(plan), indent=1), encoding="utf-8")
    names = [movie, info]
    if "no_captions" not in plan.quirks:
        captions = f"{video_id}.en.vtt"
        text = automatic_captions(speak(plan, signals["speech"]))
        (unfinished / captions).write_text(text, encoding="utf-8")
        names.append(captions)
    record = {"fingerprint": plan.fingerprint, "files": {name: (unfinished / name).stat().st_size for name in names}}
    for name in names:
        (unfinished / name).replace(folder / name)
    write_atomically(_record_path(folder, video_id), json.dumps(record).encode())
    return video_id


def _info(plan: VideoPlan) -> dict[str, Any]:
    return {
        "id": plan.video_id,
        "title": plan.title,
        "duration": round(plan.seconds),
        "width": plan.width,
        "height": plan.height,
        "extractor": "mgn_ma sample (rendered)",
    }


def _record_path(folder: Path, video_id: str) -> Path:
    return folder / RECORDS / f"{video_id}.json"


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"fingerprint": str(record["fingerprint"]), "files": dict(record["files"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"fingerprint": "", "files": {}}


def _is_rendered(plan: VideoPlan, folder: Path) -> bool:
    record = _read_record(_record_path(folder, plan.video_id))
    if record["fingerprint"] != plan.fingerprint:
        return False
    return all(
        (folder / name).is_file() and (folder / name).stat().st_size == size for name, size in record["files"].items()
    )


def _remove_others(folder: Path, wanted: Iterable[str]) -> None:
    """Take away the videos of an earlier sample that this one doesn't have."""
    wanted = set(wanted)
    for path in sorted((folder / RECORDS).glob("*.json")):
        if path.stem in wanted:
            continue
        for name in _read_record(path)["files"]:
            (folder / Path(name).name).unlink(missing_ok=True)
        path.unlink()
