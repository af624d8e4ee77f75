"""Fetching the annotated videos with yt-dlp: slowly, resumably, and with a reason for each that can't be had."""

from __future__ import annotations

import logging
import random
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import Field, model_validator

from mgn_ma.configuration import Configuration
from mgn_ma.media.download_records import PRESENT, RECORDS, Outcome, Part, read_outcomes, tried_at, write_outcome
from mgn_ma.media.errors import MediaError
from mgn_ma.media.folder import MediaFolder

logger = logging.getLogger(__name__)

_GONE = re.compile(
    r"private video|video is private|has been removed|account .*terminated|account .*closed"
    r"|no longer available due to a copyright claim|blocked it .*on copyright grounds|members-only",
    re.IGNORECASE,
)
"""What is said of one video alone; all else (a refusal, an address that is wrong, an old yt-dlp) may be said of any."""
CONTAINERS = ("mp4", "mkv", "webm")
"""Of the videos that are asked for, in order of preference."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class DownloadConfig(Configuration):
    """How videos are fetched.

    Attributes:
        url_template: address of a video; ``{video_id}`` stands for its id.
        max_height: largest height of the picture, in pixels, among the streams on offer.
        caption_languages: which captions to fetch, in order of preference: of the first that there is, those that
            somebody wrote, of a region (``en-GB``) too, else those that the site makes by itself.
        pause_seconds: least and greatest pause between two videos.
        bytes_per_second: limit of the rate; ``None`` for none.
        max_mib: most that is taken of one file.
        max_seconds: longest that one transfer may take.
        tries: how often a transfer is begun before the video counts as failed.
        give_up_after: stop after so many videos one after the other that could not be had, for whatever reason: the
            server may be refusing us.
        retry_unavailable: ask again for what an earlier run found to be gone.
        cookies: file of cookies for yt-dlp, for videos that need a login.
        limit: at most this many videos in one run; ``None`` for all.
    """

    url_template: str = "https://www.youtube.com/watch?v={video_id}"
    max_height: int = Field(default=360, gt=0)
    caption_languages: tuple[str, ...] = ("en",)
    pause_seconds: tuple[float, float] = (5.0, 15.0)
    bytes_per_second: int | None = Field(default=None, gt=0)
    max_mib: int = Field(default=4096, gt=0)
    max_seconds: float = Field(default=7200, gt=0)
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

    What is there is left alone, and of a video that is there only captions and info.json that failed are asked for. A
    video that is gone isn't asked for again (``retry_unavailable`` does). A transfer that was cut off goes on where it
    stopped. First come videos that were never asked for, then those whose last try is longest ago.

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
    known = read_outcomes(video_ids, MediaFolder(str(folder)), config.caption_languages)
    todo = [outcome for outcome in known if _is_wanted(outcome, config)]
    todo.sort(key=lambda outcome: (outcome.video == PRESENT, tried_at(folder, outcome.video_id)))
    logger.info("Download: %d videos wanted, %d to fetch", len(video_ids), len(todo))
    todo = todo[: config.limit]
    if not todo:
        logger.info("Download: nothing to fetch")
        return
    _yt_dlp()
    for outcome in show_progress(_fetch_all(todo, folder, config, sleep), len(todo)):
        write_outcome(folder, outcome)


def _is_wanted(outcome: Outcome, config: DownloadConfig) -> bool:
    if outcome.video.status == "unavailable":
        return config.retry_unavailable
    return outcome.video != PRESENT or "failed" in (outcome.captions.status, outcome.info.status)


def _fetch_all(
    known: Sequence[Outcome], folder: Path, config: DownloadConfig, sleep: Callable[[float], None]
) -> Iterator[Outcome]:
    in_vain = 0
    for position, before in enumerate(known):
        if position:
            sleep(random.uniform(*config.pause_seconds))  # noqa: S311 - not for secrets
        outcome = fetch(before.video_id, folder, config)
        yield outcome
        for what, part in zip(("", "captions of ", "info.json of "), outcome.parts, strict=True):
            if part.reason and part.status != "none":
                logger.info("%s%s: %s, %s", what, outcome.video_id, part.status, part.reason)
        # Captions that fail beside a video that comes mean no refusal; where only they are asked for, they do.
        asked = outcome.parts if before.video == PRESENT else outcome.parts[:1]
        reason = next((part.reason for part in asked if part.status in ("failed", "unavailable")), None)
        in_vain = 0 if reason is None else in_vain + 1
        if in_vain == config.give_up_after:
            logger.warning(
                "Download: stopped after %d videos in a row that could not be had, last: %s. Is the server refusing "
                "us, download.url_template wrong, or yt-dlp too old? The next run goes on from here, and "
                "download.retry_unavailable asks again for what is unavailable",
                in_vain,
                reason,
            )
            return


def fetch(video_id: str, folder: Path, config: DownloadConfig) -> Outcome:
    """Fetch of one video what is missing, each of its files on its own; they appear when they are whole."""
    video, found = PRESENT, None
    if MediaFolder(str(folder)).files(video_id).video_path is None:
        video, found = _fetch_video(video_id, folder, config)
        if video != PRESENT:
            return Outcome(video_id, video)
    return Outcome(video_id, video, *_fetch_beside(video_id, folder, config, found))


def _fetch_video(video_id: str, folder: Path, config: DownloadConfig) -> tuple[Part, dict[str, Any] | None]:
    """The video alone, and what yt-dlp knows of it."""
    yt_dlp = _yt_dlp()
    try:
        with yt_dlp.YoutubeDL(_options(video_id, folder, config)) as downloader:
            found = downloader.sanitize_info(downloader.extract_info(config.url(video_id)), remove_private_keys=True)
    except yt_dlp.utils.YoutubeDLError as error:
        reason = _reason(str(error)) or type(error).__name__
        return Part("unavailable" if is_gone(reason) else "failed", reason), None
    except OSError as error:
        return Part("failed", f"{type(error).__name__}: {error}"), None
    if MediaFolder(str(folder)).files(video_id).video_path is None:
        return Part("failed", f"what came is in none of the containers {', '.join(CONTAINERS)}"), None
    return PRESENT, found


def _fetch_beside(
    video_id: str, folder: Path, config: DownloadConfig, found: dict[str, Any] | None
) -> tuple[Part, Part]:
    """Captions and info.json of a video that is there, from what was found with it, or from its page."""
    yt_dlp, messages = _yt_dlp(), _Messages()
    options = _options(video_id, folder, config) | {
        "skip_download": True,
        "ignoreerrors": True,
        "logger": messages,
        "writeinfojson": True,
        "subtitlesformat": "vtt/srt",
    }
    with yt_dlp.YoutubeDL(options) as downloader:
        if found is None:
            found = downloader.sanitize_info(downloader.extract_info(config.url(video_id), download=False))
        if found is not None:
            language = _language_to_fetch(found, config.caption_languages)
            wanted = {"writesubtitles": language is not None, "writeautomaticsub": language is not None}
            downloader.params |= wanted | {"subtitleslangs": [re.escape(language or "")]}
            # As yt-dlp's own --load-info-json goes on from what an earlier call has found.
            downloader.process_ie_result(found)
    files = MediaFolder(str(folder)).files(video_id, config.caption_languages)
    problem = messages.reason()
    captions = Part("failed", problem) if problem else Part("none", "the video has none in the wanted languages")
    info = Part("failed", problem or "yt-dlp wrote none")
    return PRESENT if files.captions else captions, PRESENT if files.info_path else info


def _language_to_fetch(found: dict[str, Any], languages: Sequence[str]) -> str | None:
    """The language of the captions that are best to have, as the site names it; ``None`` where there are none.

    yt-dlp gives those that somebody wrote where both kinds go by one name. The site's own are offered translated into
    every language, and those of the spoken one once more, as ``en-orig``.
    """
    uploaded: Sequence[str] = tuple(found.get("subtitles") or ())
    automatic: Sequence[str] = tuple(found.get("automatic_captions") or ())
    for language in languages:
        regional = (name for name in uploaded if name.startswith(f"{language}-"))
        written = [name for name in (language, *regional) if name in uploaded]
        made = [name for name in (f"{language}-orig", language) if name in automatic]
        if written or made:
            return (written + made)[0]
    return None


def is_gone(reason: str) -> bool:
    """Whether yt-dlp's message says of this one video that it is not to be had."""
    return _GONE.search(reason) is not None


def _options(video_id: str, folder: Path, config: DownloadConfig) -> dict[str, Any]:
    height = f"[height<=?{config.max_height}]"
    containers = "".join(f"/b{height}[ext={suffix}]" for suffix in CONTAINERS)
    # Picture and sound that come apart can only be joined where there is an ffmpeg command.
    joined = f"bv*{height}+ba/" if shutil.which("ffmpeg") else ""
    return {
        "format": f"{joined}{containers[1:]}/b{height}",
        "merge_output_format": "mp4/mkv",
        "outtmpl": {"default": f"{video_id}.%(ext)s"},
        "paths": {"home": str(folder), "temp": str(folder / RECORDS)},
        "progress_hooks": [partial(_require_within_limits, config)],
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
        "logger": _Messages(),
    }


def _require_within_limits(config: DownloadConfig, progress: dict[str, Any]) -> None:
    """yt-dlp trusts a server to say how long a file is, and to end it."""
    if progress.get("downloaded_bytes", 0) > config.max_mib << 20:
        raise _yt_dlp().utils.DownloadError(f"it is larger than {config.max_mib} MiB (download.max_mib)")
    if progress.get("elapsed", 0) > config.max_seconds:
        raise _yt_dlp().utils.DownloadError(f"it took longer than {config.max_seconds:g} s (download.max_seconds)")


class _Messages:
    """yt-dlp's messages go to our debug log; what tells of a problem is kept for the account."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def debug(self, message: str) -> None:
        logger.debug("yt-dlp: %s", message)

    info = debug

    def warning(self, message: str) -> None:
        self.warnings.append(message)
        self.debug(message)

    def error(self, message: str) -> None:
        self.errors.append(message)
        self.debug(message)

    def reason(self) -> str:
        """What went wrong first, errors before warnings; "" if nothing did."""
        return next(filter(None, map(_reason, [*self.errors, *self.warnings])), "")


def _reason(message: str) -> str:
    text = " ".join(_COLOUR.sub("", message).split()).removeprefix("ERROR: ")
    # What yt-dlp adds for its own bug reports says nothing about the video.
    return re.split(r"; please report this issue|\(caused by", text)[0].strip()[:500]


def _yt_dlp() -> Any:
    try:
        import yt_dlp
    except ImportError as error:
        raise MissingToolError from error
    return yt_dlp
