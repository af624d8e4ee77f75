"""Which videos are listened to, and that nobody's captions are ever lost."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from heard import Hears, silence, tone
from media_clips import AUDIO_RATE, Clip

from mgn_ma.execution import ExecutionConfig
from mgn_ma.extractors.pretrained import WeightsError
from mgn_ma.media.folder import MediaFolder
from mgn_ma.media.inspection import ListedVideo, inspect_video
from mgn_ma.transcription.config import TranscriptionConfig
from mgn_ma.transcription.running import Status, fingerprint_of, statuses, transcribe_missing

ONE = ExecutionConfig(retries=0)
CAPTIONS = "WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n"


class Videos:
    """A folder of videos, and what has been listened to in it."""

    def __init__(self, folder: Path, weights: Path) -> None:
        self.folder = folder / "videos"
        self.folder.mkdir()
        self.log = folder / "log"
        self.log.touch()
        self.config = TranscriptionConfig(pretrained=str(weights), device="cpu")

    def add(self, video_id: str, hertz: float | None = 500) -> None:
        Clip(n_frames=10, rate=5, audio=tone(hertz, 1, AUDIO_RATE) if hertz else None).write(
            self.folder / f"{video_id}.mp4"
        )

    def write(self, name: str, text: str = CAPTIONS) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def transcribe(self, *video_ids: str, **fake: Any) -> dict[str, tuple[str, str]]:
        """What is said of each video after a run."""
        transcribe_missing(video_ids, self.folder, self.config, ONE, Hears(self.log, **fake))
        return self.status(*video_ids)

    def status(self, *video_ids: str) -> dict[str, tuple[str, str]]:
        found = statuses(video_ids, self.folder, self.config, fingerprint_of(self.config))
        return {status.video_id: (status.status, status.reason) for status in found}

    def heard(self) -> list[str]:
        """Which were listened to since this was last asked."""
        names = self.log.read_text().split()
        self.log.write_text("")
        return sorted(names)

    def change(self, **settings: Any) -> None:
        self.config = self.config.model_copy(update=settings)


@pytest.fixture
def videos(tmp_path: Path, tiny_whisper: Path) -> Videos:
    return Videos(tmp_path, tiny_whisper)


def test_each_video_has_its_status_and_a_second_run_listens_to_none_again(videos: Videos) -> None:
    videos.add("-a_b")
    videos.add("mute", None)
    videos.add("silent")
    Clip(n_frames=10, rate=5, audio=silence(1, AUDIO_RATE)).write(videos.folder / "silent.mp4")
    videos.add("captioned")
    videos.write("captioned.en-orig.vtt")
    videos.write("broken.mp4", "no video")
    ids = ["-a_b", "mute", "silent", "captioned", "broken", "gone"]
    expected = {
        "-a_b": ("transcribed", ""),
        "mute": ("no audio", "has no audio stream"),
        "silent": ("no speech", "nothing is said in it"),
        "captioned": ("has captions", "captioned.en-orig.vtt"),
        "broken": ("failed", "is no video file in a format that is read here, or is damaged at its start"),
        "gone": ("no video", "there is no file of it"),
    }
    assert set(videos.status(*ids).values()) >= {("not tried", "no run has listened to it yet")}
    assert videos.transcribe(*ids) == expected
    assert videos.heard() == sorted(["-a_b", "mute", "silent", "broken"])
    written = (videos.folder / "-a_b.en.vtt").read_bytes()
    assert videos.transcribe(*ids) == expected
    assert videos.heard() == ["broken"], "what failed is tried again, and nothing else"
    assert (videos.folder / "-a_b.en.vtt").read_bytes() == written
    assert {path.name for path in videos.folder.glob("*.vtt")} == {"-a_b.en.vtt", "captioned.en-orig.vtt"}


def test_captions_tell_where_they_come_from_and_ingestion_takes_them(videos: Videos, tiny_whisper: Path) -> None:
    videos.add("a", 700)
    videos.transcribe("a")
    text = (videos.folder / "a.en.vtt").read_text()
    note = dict(line.split(": ", 1) for line in text.split("\n\n")[1].splitlines()[2:])
    assert note["model"] == str(tiny_whisper)
    assert json.loads(note["settings"])["language"] == "en"
    assert len(note["weights"]) == len(note["video"]) == 64
    row = inspect_video(ListedVideo("a", "", MediaFolder(str(videos.folder)).files("a")))
    assert (row.captions_path, row.captions_origin) == (str(videos.folder / "a.en.vtt"), "transcribed")
    assert row.captions_digest is not None


def test_other_settings_weights_and_videos_are_listened_to_anew(videos: Videos, tmp_path: Path) -> None:
    videos.add("a")
    videos.transcribe("a")
    videos.change(no_speech_threshold=0.5)
    assert videos.status("a")["a"][0] == "not tried"
    videos.transcribe("a")
    videos.add("a", 900)
    videos.transcribe("a")
    assert (videos.folder / "a.en.vtt").read_text().endswith("\n9\n")
    videos.change(device="auto", all_videos=True)
    videos.transcribe("a")
    assert videos.heard() == ["a"] * 3
    (videos.folder / "a.en.vtt").unlink()
    videos.transcribe("a")
    assert videos.heard() == ["a"]


def test_what_somebody_wrote_or_changed_is_never_touched(videos: Videos) -> None:
    for video_id in ("mine", "edited", "copied"):
        videos.add(video_id)
    videos.transcribe("edited")
    edited = videos.folder / "edited.en.vtt"
    edited.write_text(edited.read_text() + "\n00:10.000 --> 00:11.000\nand so on\n")
    videos.write("mine.en.vtt")
    videos.write("copied.en.vtt", edited.read_text())
    before = {path: path.read_bytes() for path in videos.folder.glob("*.vtt")}
    videos.heard()
    videos.change(all_videos=True, no_speech_threshold=0.1)
    assert videos.transcribe("mine", "edited", "copied") == {
        "mine": ("has captions", "mine.en.vtt"),
        "edited": ("has captions", "edited.en.vtt, changed after it was written"),
        "copied": ("has captions", "copied.en.vtt"),
    }
    assert videos.heard() == []
    assert {path: path.read_bytes() for path in videos.folder.glob("*.vtt")} == before


def test_what_is_written_meanwhile_stays(videos: Videos, monkeypatch: pytest.MonkeyPatch) -> None:
    videos.add("a")

    def run_and_write(*arguments: Any) -> Any:
        for outcome in run(*arguments):
            videos.write("a.en.vtt")
            yield outcome

    from mgn_ma.transcription import running

    run = running.run
    monkeypatch.setattr(running, "run", run_and_write)
    assert videos.transcribe("a")["a"] == ("has captions", "a.en.vtt")
    assert (videos.folder / "a.en.vtt").read_text() == CAPTIONS


def test_automatic_captions_are_kept_beside_those_that_are_asked_for(videos: Videos) -> None:
    videos.add("a")
    videos.write("a.en-orig.vtt")
    videos.change(all_videos=True)
    assert videos.transcribe("a")["a"] == ("transcribed", "")
    assert (videos.folder / "a.en-orig.vtt").read_text() == CAPTIONS
    assert MediaFolder(str(videos.folder)).files("a").captions[0].path.endswith("/a.en.vtt")


def test_a_failure_costs_its_video_only_and_not_what_was_written_before(videos: Videos) -> None:
    for video_id in "abc":
        videos.add(video_id)
    first = videos.transcribe("a", "b", "c", dies_of="b")
    assert [first[video_id][0] for video_id in "abc"] == ["transcribed", "failed", "transcribed"]
    assert "SIGKILL" in first["b"][1]
    assert set(videos.transcribe("a", "b", "c").values()) == {("transcribed", "")}
    written = (videos.folder / "a.en.vtt").read_bytes()
    videos.change(no_speech_threshold=0.1)
    assert videos.transcribe("a", mishears="a")["a"] == ("failed", "RuntimeError: what is this")
    assert (videos.folder / "a.en.vtt").read_bytes() == written
    assert videos.transcribe("a")["a"] == ("transcribed", "")
    assert (videos.folder / "a.en.vtt").read_bytes() != written


def test_each_language_has_captions_of_its_own(videos: Videos) -> None:
    videos.add("a")
    for language in ("en", "de", "en"):
        videos.change(language=language)
        assert videos.transcribe("a")["a"] == ("transcribed", "")
    assert videos.heard() == ["a", "a"]
    assert {path.name for path in videos.folder.glob("*.vtt")} == {"a.en.vtt", "a.de.vtt"}


def test_what_is_found_to_be_silent_loses_the_captions_that_were_written(videos: Videos) -> None:
    videos.add("a")
    videos.transcribe("a")
    Clip(n_frames=10, rate=5, audio=silence(1, AUDIO_RATE)).write(videos.folder / "a.mp4")
    assert videos.transcribe("a")["a"][0] == "no speech"
    assert not list(videos.folder.glob("*.vtt"))


def test_a_run_that_is_killed_goes_on_where_it_was(videos: Videos) -> None:
    ids = ("a", "b", "c")
    for video_id in ids:
        videos.add(video_id)
    program = (
        "import sys; from pathlib import Path; from heard import Hears\n"
        "from mgn_ma.execution import ExecutionConfig\n"
        "from mgn_ma.transcription.config import TranscriptionConfig\n"
        "from mgn_ma.transcription.running import transcribe_missing\n"
        "folder, log, weights = sys.argv[1:]\n"
        "config = TranscriptionConfig(pretrained=weights, device='cpu')\n"
        f"transcribe_missing({ids}, Path(folder), config, ExecutionConfig(), Hears(Path(log), slow='b'))\n"
    )
    assert videos.config.pretrained is not None
    arguments = [str(videos.folder), str(videos.log), str(videos.config.pretrained.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", program, *arguments], env=environment) as run:
        until = time.monotonic() + 60
        while "b" not in videos.log.read_text().split() or not (videos.folder / "a.en.vtt").exists():
            assert time.monotonic() < until and run.poll() is None
            time.sleep(0.05)
        run.send_signal(signal.SIGKILL)
    videos.heard()
    assert set(videos.transcribe(*ids).values()) == {("transcribed", "")}
    assert videos.heard() == ["b", "c"]


def test_without_a_record_captions_are_somebody_else_s_and_a_record_without_captions_is_nothing(videos: Videos) -> None:
    videos.add("a")
    videos.transcribe("a")
    record = videos.folder / ".transcription/a.en.json"
    kept = record.read_bytes()
    record.unlink()
    assert videos.status("a")["a"] == ("has captions", "a.en.vtt")
    record.write_bytes(kept)
    (videos.folder / "a.en.vtt").unlink()
    assert videos.status("a")["a"][0] == "not tried"


def test_absent_weights_are_said_before_anything_is_decoded(videos: Videos, tmp_path: Path) -> None:
    videos.add("a")
    for pretrained, message in (
        (None, r"transcription\.pretrained names no Whisper.*--pipelines weights --params weights\.fetch=true,"),
        (str(tmp_path / "nowhere"), r"no file model\.safetensors or pytorch_model\.bin.*nowhere"),
        ("hub:nobody/nothing", r"no file .*local hub cache: nobody/nothing.*--pipelines weights"),
    ):
        videos.config = TranscriptionConfig.model_validate({"pretrained": pretrained})
        with pytest.raises(WeightsError, match=message) as raised:
            transcribe_missing(["a"], videos.folder, videos.config, ONE)
        assert "\n" not in str(raised.value)
    assert [path.name for path in videos.folder.iterdir()] == ["a.mp4"]


def test_a_fingerprint_is_of_what_changes_the_words(tiny_whisper: Path) -> None:
    def of(**changes: Any) -> str:
        return fingerprint_of(TranscriptionConfig(pretrained=str(tiny_whisper), **changes))

    assert of() == of(device="cpu") == of(all_videos=True)
    others = [of(), of(language="de"), of(no_speech_threshold=0.5), of(precision="bfloat16")]
    assert Counter(others).most_common(1)[0][1] == 1


def test_digests_are_of_whole_files(videos: Videos) -> None:
    videos.add("a")
    videos.transcribe("a")
    record = json.loads((videos.folder / ".transcription/a.en.json").read_text())
    assert record["captions_sha256"] == hashlib.sha256((videos.folder / "a.en.vtt").read_bytes()).hexdigest()
    assert Status("a", record["status"]).is_wanted is False
