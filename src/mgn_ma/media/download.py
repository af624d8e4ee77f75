"""Fetching the annotated videos with yt-dlp: slowly, resumably, and with a reason for each that can't be had."""

from __future__ import annotations

import json
import logging
import random
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mgn_ma.files import write_atomically
from mgn_ma.media.errors import MediaError
from mgn_ma.media.folder import VIDEO_SUFFIXES, MediaFolder

logger = logging.getLogger(__name__)

RECORDS = ".download"
"""Folder beside the videos with what came of each one that was asked for, and with unfinished files."""

Status = Literal["present", "unavailable", "failed", "not tried"]

_GONE = re.compile(
    r"private video|video (is )?(not available|unavailable|no longer available)|has been removed|account .*terminated"
    r"|members-only|sign in to confirm your age|not made this video available|copyright|HTTP Error (404|410|451)"
    r"|unsupported URL|does not exist",
    re.IGNORECASE,
)
_LATER = re.compile(r"try again later|rate.limited|not a bot|HTTP Error (429|5\d\d)", re.IGNORECASE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class DownloadConfig(BaseModel):
    """How videos are fetched.

    Attributes:
        url_template: address of a video; ``{video_id}`` stands for its id.
        max_height: largest height of the picture, in pixels, among the streams on offer.
        caption_languages: which captions to fetch; automatic ones, and uploaded ones if ``uploaded_captions``.
        uploaded_captions: whether captions that somebody wrote are taken where there are any.
        pause_seconds: least and greatest pause between two videos.
        bytes_per_second: limit of the rate; ``None`` for none.
        tries: how often a transfer is begun before the video counts as failed.
        give_up_after: stop after this many failures one after the other, as when the server refuses us.
        retry_unavailable: ask again for what an earlier run found to be gone.
        cookies: file of cookies for yt-dlp, for videos that need a login.
        limit: at most this many videos in one run; ``None`` for all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url_template: str = "https://www.youtube.com/watch?v={video_id}"
    max_height: int = Field(default=360, gt=0)
    caption_languages: tuple[str, ...] = ("en", "en-orig")
    uploaded_captions: bool = False
    pause_seconds: tuple[float, float] = (5.0, 15.0)
    bytes_per_second: int | None = Field(default=None, gt=0)
    tries: int = Field(default=3, gt=0)
    give_up_after: int = Field(default=10, gt=0)
    retry_unavailable: bool = False
    cookies: str | None = None
    limit: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _sensible(self) -> DownloadConfig:
        if "{video_id}" not in self.url_template:
            raise ValueError(f"url_template {self.url_template!r} has no {{video_id}} in it")
        if not 0 <= self.pause_seconds[0] <= self.pause_seconds[1]:
            raise ValueError(f"pause_seconds {self.pause_seconds} are no range")
        return self

    def url(self, video_id: str) -> str:
        """Address of a video."""
        return self.url_template.replace("{video_id}", quote(video_id, safe=""))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one video; ``reason`` is empty if it is present."""

    video_id: str
    status: Status
    reason: str = ""


class MissingToolError(MediaError):
    """yt-dlp is not installed."""

    def __init__(self) -> None:
        super().__init__("yt-dlp", "is not installed; the extra brings it: pip install 'mgn_ma[download]'")


def fetch_missing(
    video_ids: Sequence[str],
    folder: Path,
    config: DownloadConfig,
    show_progress: Callable[[Iterable[Outcome], int], Iterable[Outcome]] = lambda outcomes, _: outcomes,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Fetch the wanted videos that are missing in a folder of raw videos, and record what came of each.

    A video that is there is left alone. One that is gone for good isn't asked for again (``retry_unavailable`` does). A
    transfer that was cut off goes on where it stopped.

    Args:
        video_ids: what is wanted.
        folder: where to.
        config: how.
        show_progress: wraps the outcomes as they come, given their number.
        sleep: what pauses; tests don't wait.

    Raises:
        MissingToolError: if yt-dlp is not installed.
    """
    (folder / RECORDS).mkdir(parents=True, exist_ok=True)
    skipped: set[Status] = {"present"} if config.retry_unavailable else {"present", "unavailable"}
    known = read_outcomes(video_ids, MediaFolder(str(folder)))
    todo = [outcome.video_id for outcome in known if outcome.status not in skipped]
    logger.info("Download: %d videos wanted, %d to fetch", len(video_ids), len(todo))
    todo = todo[: config.limit]
    if not todo:
        logger.info("Download: nothing to fetch")
        return
    _yt_dlp()
    for outcome in show_progress(_fetch_all(todo, folder, config, sleep), len(todo)):
        _record(folder, outcome)


def _fetch_all(
    video_ids: Sequence[str], folder: Path, config: DownloadConfig, sleep: Callable[[float], None]
) -> Iterator[Outcome]:
    failures = 0
    for position, video_id in enumerate(video_ids):
        if position:
            sleep(random.uniform(*config.pause_seconds))  # noqa: S311 - not for secrets
        outcome = fetch(video_id, folder, config)
        yield outcome
        if outcome.status != "present":
            logger.info("%s is %s: %s", video_id, outcome.status, outcome.reason)
        failures = failures + 1 if outcome.status == "failed" else 0
        if failures == config.give_up_after:
            logger.warning("Download: stopped after %d failures in a row, last: %s", failures, outcome.reason)
            return


def fetch(video_id: str, folder: Path, config: DownloadConfig) -> Outcome:
    """Fetch one video with its captions and its info.json; its files appear when they are whole."""
    yt_dlp = _yt_dlp()
    try:
        with yt_dlp.YoutubeDL(_options(video_id, folder, config)) as downloader:
            downloader.download([config.url(video_id)])
    except yt_dlp.utils.YoutubeDLError as error:
        reason = _reason(error)
        return Outcome(video_id, "unavailable" if is_gone(reason) else "failed", reason)
    except OSError as error:
        return Outcome(video_id, "failed", f"{type(error).__name__}: {error}")
    if MediaFolder(str(folder)).files(video_id).video_path is None:
        wanted = ", ".join(VIDEO_SUFFIXES)
        return Outcome(video_id, "failed", f"what came is in none of the containers {wanted}")
    return Outcome(video_id, "present")


def is_gone(reason: str) -> bool:
    """Whether yt-dlp's message means that asking again is of no use."""
    return _GONE.search(reason) is not None and _LATER.search(reason) is None


def read_outcomes(video_ids: Iterable[str], folder: MediaFolder) -> list[Outcome]:
    """What came of each video so far: the files decide, then the records of earlier runs."""
    outcomes = []
    for video_id in video_ids:
        if folder.files(video_id).video_path is not None:
            outcomes.append(Outcome(video_id, "present"))
            continue
        try:
            record = json.loads(_record_path(Path(folder.root), video_id).read_text(encoding="utf-8"))
            outcome = Outcome(video_id, record["status"], record["reason"])
        except (OSError, ValueError, KeyError, TypeError):
            outcome = Outcome(video_id, "not tried", "no run has asked for it yet")
        if outcome.status == "present":
            outcome = Outcome(video_id, "not tried", "it was fetched, and is no longer there")
        outcomes.append(outcome)
    return outcomes


def _record(folder: Path, outcome: Outcome) -> None:
    write_atomically(_record_path(folder, outcome.video_id), json.dumps(asdict(outcome)).encode())


def _record_path(folder: Path, video_id: str) -> Path:
    return folder / RECORDS / f"{video_id}.json"


def _options(video_id: str, folder: Path, config: DownloadConfig) -> dict[str, Any]:
    height = f"[height<=?{config.max_height}]"
    containers = "".join(f"/b{height}[ext={suffix}]" for suffix in VIDEO_SUFFIXES)
    # Picture and sound that come apart can only be joined where there is an ffmpeg command.
    joined = f"bv*{height}+ba/" if shutil.which("ffmpeg") else ""
    return {
        "format": f"{joined}{containers[1:]}/b{height}",
        "merge_output_format": "mp4/mkv",
        "outtmpl": {"default": f"{video_id}.%(ext)s"},
        "paths": {"home": str(folder), "temp": str(folder / RECORDS)},
        "writeinfojson": True,
        "writeautomaticsub": True,
        "writesubtitles": config.uploaded_captions,
        "subtitleslangs": list(config.caption_languages),
        "subtitlesformat": "vtt/srt",
        "ratelimit": config.bytes_per_second,
        "retries": config.tries,
        "extractor_retries": config.tries - 1,
        "fragment_retries": config.tries,
        "continuedl": True,
        "noplaylist": True,
        "playlist_items": "1",
        "cookiefile": config.cookies,
        "cachedir": False,
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "color": "never",
        "logger": _DebugLogger(),
    }


class _DebugLogger:
    """yt-dlp's messages go to our debug log: what matters of them is in the account."""

    def debug(self, message: str) -> None:
        logger.debug("yt-dlp: %s", message)

    info = warning = error = debug


def _reason(error: Exception) -> str:
    text = " ".join(_COLOUR.sub("", str(error)).split()).removeprefix("ERROR: ")
    # What yt-dlp adds for its own bug reports says nothing about the video.
    return re.split(r"; please report this issue|\(caused by", text)[0].strip()[:500] or type(error).__name__


def _yt_dlp() -> Any:
    try:
        import yt_dlp
    except ImportError as error:
        raise MissingToolError from error
    return yt_dlp
