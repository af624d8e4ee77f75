"""Which videos are listened to, doing it, and accounting for every one of them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mgn_ma.execution import ExecutionConfig, Outcome, run
from mgn_ma.execution.outcome import MakeFunction
from mgn_ma.execution.progress import progress
from mgn_ma.extractors.pretrained import WeightsError, identity
from mgn_ma.features.extraction import reason_of
from mgn_ma.files import write_atomically
from mgn_ma.media.digest import digest
from mgn_ma.media.errors import MediaError, NoAudioError
from mgn_ma.media.folder import MediaFolder
from mgn_ma.media.subtitles import Cue
from mgn_ma.transcription.captions import Record, is_as_written, read_record, webvtt, write_record
from mgn_ma.transcription.config import TranscriptionConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """How it stands with the transcription of a video; a row of the account.

    Attributes:
        status: ``transcribed``, ``has captions``, ``no video``, ``no audio``, ``no speech``, ``failed`` or ``not
            tried``.
        reason: what is behind it; "" of what is transcribed.
        seconds: that listening took.
    """

    video_id: str
    status: str
    reason: str = ""
    seconds: float = 0.0

    @property
    def is_wanted(self) -> bool:
        """Whether there is something to do."""
        return self.status in ("failed", "not tried")


def make_whisper(config: TranscriptionConfig) -> Callable[[str], list[Cue]]:
    """What :func:`transcribe_missing` has each worker make; torch is imported there."""
    from mgn_ma.transcription.whisper import make_transcribe

    return make_transcribe(config)


def transcribe_missing(
    video_ids: Sequence[str],
    folder: Path,
    config: TranscriptionConfig,
    execution: ExecutionConfig,
    make_transcribe: MakeFunction[str, list[Cue]] | None = None,
) -> None:
    """Write ``<id>.<language>.vtt`` beside each video that is to have captions, and a record of each that was heard.

    What was written, or found to hold no speech, is not listened to again while video, settings and weights are the
    same; what has failed is. A file that somebody else wrote, or has changed, is never touched.

    Args:
        video_ids: what is wanted.
        folder: where the videos are.
        config: how.
        execution: where, and by how many.
        make_transcribe: makes what turns a video's path into cues, in the worker; Whisper by default.

    Raises:
        WeightsError: no weights are named, or they are absent or wrong; the message says how to get them.
    """
    fingerprint = fingerprint_of(config)
    wanted = [each.video_id for each in statuses(video_ids, folder, config, fingerprint) if each.is_wanted]
    logger.info("Transcription: %d videos, %d to listen to", len(video_ids), len(wanted))
    if not wanted:
        return
    if make_transcribe is None:
        config.load()  # so that what is wrong with the weights is said once, and before workers start
        make_transcribe = partial(make_whisper, config)
    files = MediaFolder(str(folder))
    videos = {path: video_id for video_id in wanted if (path := files.files(video_id).video_path) is not None}
    digests = {path: _digest_or_none(path) for path in videos}
    outcomes = run(make_transcribe, videos, execution)
    for outcome in progress(outcomes, len(videos), "transcribing videos", unit="video"):
        _keep(videos[outcome.item], outcome, digests[outcome.item], folder, config, fingerprint)


def fingerprint_of(config: TranscriptionConfig) -> str:
    """Hex digest of the settings and the weights.

    Raises:
        WeightsError: no weights are named, or they are absent; the message says how to get them.
    """
    if config.pretrained is None:
        raise WeightsError(
            "transcription.pretrained names no Whisper: set it to hub:openai/whisper-small, say, which `kedro run "
            "--pipelines weights --params weights.fetch=true,transcription.pretrained=hub:openai/whisper-small` gets, "
            "or to the path of a folder with its files"
        )
    return config.fingerprint()


def statuses(video_ids: Iterable[str], folder: Path, config: TranscriptionConfig, fingerprint: str) -> list[Status]:
    """How it stands with each video: the files decide, then the records of earlier runs."""
    files = MediaFolder(str(folder))
    return [_status(video_id, folder, files, config, fingerprint) for video_id in video_ids]


def _status(video_id: str, folder: Path, files: MediaFolder, config: TranscriptionConfig, fingerprint: str) -> Status:
    found = files.files(video_id, (config.language,))
    ours = folder / _name(video_id, config)
    record = read_record(ours)
    written = is_as_written(ours, record)
    others = [Path(file.path).name for file in found.captions if Path(file.path).name != ours.name]
    if ours.exists() and not written:
        changed = record is not None and record.captions_sha256
        return Status(video_id, "has captions", f"{ours.name}{', changed after it was written' if changed else ''}")
    if not written and others and not config.all_videos:
        return Status(video_id, "has captions", others[0])
    if found.video_path is None:
        return Status(video_id, "no video", "there is no file of it")
    if record is None:
        return Status(video_id, "not tried", "no run has listened to it yet")
    is_current = (record.fingerprint, record.video_digest) == (fingerprint, _digest_or_none(found.video_path))
    if not is_current or (record.status == "transcribed" and not written):
        return Status(video_id, "not tried", "its video, the settings, the weights or its captions are others now")
    return Status(video_id, record.status, record.reason, record.seconds)


def _digest_or_none(path: str) -> str | None:
    try:
        return digest(path)
    except MediaError:  # whoever listens to it will say why
        return None


def _name(video_id: str, config: TranscriptionConfig) -> str:
    return f"{video_id}.{config.language}.vtt"


def _keep(
    video_id: str,
    outcome: Outcome[str, list[Cue]],
    video_digest: str | None,
    folder: Path,
    config: TranscriptionConfig,
    fingerprint: str,
) -> None:
    place = folder / _name(video_id, config)
    before = read_record(place)
    if place.exists() and not is_as_written(place, before):
        return  # somebody has written it meanwhile
    status, reason, content = "transcribed", "", b""
    if isinstance(outcome.error, NoAudioError):
        status, reason = "no audio", outcome.error.reason
    elif outcome.error is not None:
        status, reason = "failed", reason_of(outcome.error)
        logger.warning("%s can't be transcribed: %s", video_id, reason)
    elif not outcome.result:
        status, reason = "no speech", "nothing is said in it"
    else:
        content = webvtt(outcome.result, config.language, _provenance(config, video_digest))
    captions_sha256 = hashlib.sha256(content).hexdigest() if content else ""
    if status == "failed" and before is not None:
        captions_sha256 = before.captions_sha256  # what other settings have written stays
    # The record comes first: captions without one would be somebody else's.
    record = Record(status, reason, video_digest, fingerprint, captions_sha256, round(outcome.seconds, 3))
    write_record(place, record)
    if content:
        write_atomically(place, content)
    elif status != "failed":
        place.unlink(missing_ok=True)


def _provenance(config: TranscriptionConfig, video_digest: str | None) -> dict[str, str]:
    (need,) = config.weights_needed()
    settings = config.model_dump(mode="json", exclude={"pretrained", *config.NOT_IN_FINGERPRINT})
    return {
        "model": need.place,
        "weights": identity(need),
        "settings": json.dumps(settings),
        "video": video_digest or "unknown",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def log_statuses(found: Sequence[Status]) -> None:
    """Sum an account up in one line of the log."""
    counts = Counter(status.status for status in found)
    logger.info("Transcription: %s", ", ".join(f"{count} {status}" for status, count in counts.most_common()))
