"""The pipeline that writes captions, from annotations to its account, with an untrained Whisper."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from tiny_whisper import save_tiny_whisper

from mgn_ma.datasets.media_folder import MediaFolderDataset
from mgn_ma.execution import ExecutionConfig
from mgn_ma.media.subtitles import read_captions
from mgn_ma.pipelines.transcription import create_pipeline
from mgn_ma.transcription.config import TranscriptionConfig


def load_clips() -> Any:
    spec = importlib.util.spec_from_file_location("media_clips", Path(__file__).parents[1] / "media" / "media_clips.py")
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_captions_are_written_beside_the_annotated_videos_and_accounted_for(tmp_path: Path) -> None:
    clips, folder = load_clips(), tmp_path / "videos"
    folder.mkdir()
    for video_id in ("-a_b", "captioned", "nobody's"):
        clips.Clip(n_frames=10, rate=5, audio=clips.sine(2, 440)).write(folder / f"{video_id}.mp4")
    (folder / "captioned.en.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n")
    whisper = save_tiny_whisper(tmp_path / "whisper")
    catalog = DataCatalog(
        {
            "annotations_train": MemoryDataset(pd.DataFrame({"YouTube ID": ["-a_b", "-a_b", "captioned"]})),
            "annotations_validation": MemoryDataset(pd.DataFrame({"YouTube ID": ["gone"]})),
            "annotations_test": MemoryDataset(pd.DataFrame({"Video ID": ["0012"]})),
            "raw_videos": MediaFolderDataset(str(folder)),
            "raw_videos_folder": MemoryDataset(str(folder)),
            # Untrained, it is never sure of its words.
            "params:transcription": MemoryDataset(
                TranscriptionConfig(pretrained=str(whisper), device="cpu", no_speech_threshold=1.0)
            ),
            "params:execution": MemoryDataset(ExecutionConfig()),
            "transcription_account": MemoryDataset(),
        }
    )
    SequentialRunner().run(create_pipeline(), catalog)
    account = catalog.load("transcription_account")
    assert account.columns.tolist() == ["video_id", "split", "status", "reason", "seconds"]
    assert account["video_id"].tolist() == ["-a_b", "captioned", "gone", "0012"]
    assert account["split"].tolist() == ["train", "train", "validation", "test"]
    assert account["status"].tolist() == ["transcribed", "has captions", "no video", "no video"]
    assert account["seconds"][0] > 0
    assert {path.name for path in folder.glob("*.vtt")} == {"-a_b.en.vtt", "captioned.en.vtt"}
    captions = read_captions(catalog.load("raw_videos").files("-a_b").captions[0].path)
    assert captions.made_by == "transcribed" and captions.speech
