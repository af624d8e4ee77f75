"""Nodes that have Whisper listen to the videos without captions, and say what came of each."""

from dataclasses import asdict

import pandas as pd

from mgn_ma.execution import ExecutionConfig
from mgn_ma.media.folder import MediaFolder, local_folder
from mgn_ma.pipelines.download.nodes import list_wanted
from mgn_ma.transcription.config import TranscriptionConfig
from mgn_ma.transcription.running import Status, fingerprint_of, log_statuses, statuses, transcribe_missing


def transcribe_videos(
    transcription: TranscriptionConfig, execution: ExecutionConfig, folder: str, *annotations: pd.DataFrame
) -> MediaFolder:
    """The folder of raw videos, after captions have been written beside those annotated ones that had none.

    Raises:
        WeightsError: Whisper's weights are absent, wrong, or not named.
    """
    wanted = list_wanted(*annotations)
    transcribe_missing(wanted["video_id"].tolist(), local_folder(folder), transcription, execution)
    return MediaFolder(folder)


def account_for_transcription(
    videos: MediaFolder, transcription: TranscriptionConfig, *annotations: pd.DataFrame
) -> pd.DataFrame:
    """One row an annotated video: ``video_id``, ``split``, ``status``, ``reason`` and ``seconds``.

    Status is ``transcribed``, ``has captions``, ``no video``, ``no audio``, ``no speech``, ``failed`` (the next run
    tries again) or ``not tried``.
    """
    wanted = list_wanted(*annotations)
    found = statuses(wanted["video_id"], local_folder(videos.root), transcription, fingerprint_of(transcription))
    log_statuses(found)
    rows = pd.DataFrame([asdict(status) for status in found], columns=list(Status.__dataclass_fields__))
    return wanted.merge(rows, on="video_id")
