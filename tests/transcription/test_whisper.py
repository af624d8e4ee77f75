"""A real if untrained Whisper."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from heard import silence, tone
from media_clips import AUDIO_RATE, Clip
from tiny_whisper import save_tiny_whisper

from mgn_ma.extractors.pretrained import WeightsError
from mgn_ma.transcription import whisper
from mgn_ma.transcription.config import TranscriptionConfig
from mgn_ma.transcription.whisper import load_whisper, make_transcribe


class TestWhisper:
    def config(self, folder: Path, **changes: Any) -> TranscriptionConfig:
        # Untrained, it is never sure of its words: what it says would be taken for silence.
        return TranscriptionConfig(pretrained=str(folder), device="cpu", no_speech_threshold=1.0, **changes)

    def test_a_video_becomes_cues_the_same_each_time(
        self, tiny_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(whisper, "TEMPERATURES", (0.0, 0.5))
        sound = np.concatenate([tone(500, 3, AUDIO_RATE), silence(4, AUDIO_RATE), tone(900, 4, AUDIO_RATE)])
        path = str(Clip(n_frames=56, rate=5, audio=sound).write(tmp_path / "v.mp4"))
        cues = make_transcribe(self.config(tiny_whisper))(path)
        assert len(cues) >= 2
        assert all(0 <= cue.start_us < cue.end_us <= 11_100_000 for cue in cues)
        assert not [cue for cue in cues if cue.end_us > 3_600_000 and cue.start_us < 6_400_000]
        assert all(cue.text == " ".join(cue.text.split()) != "" and "<|" not in cue.text for cue in cues)
        assert make_transcribe(self.config(tiny_whisper))(path) == cues

    def test_what_it_takes_for_silence_is_left_out(self, tiny_whisper: Path, tmp_path: Path) -> None:
        path = str(Clip(n_frames=10, rate=5, audio=tone(500, 2, AUDIO_RATE)).write(tmp_path / "v.mp4"))
        config = self.config(tiny_whisper).model_copy(update={"no_speech_threshold": 0.0})
        assert make_transcribe(config)(path) == []

    def test_what_it_does_not_know_is_refused(self, tiny_whisper: Path, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"doesn't know transcription\.language 'fr', only de, en"):
            load_whisper(self.config(tiny_whisper, language="fr"))
        of_english = save_tiny_whisper(tmp_path / "en", multilingual=False)
        with pytest.raises(WeightsError, match=r"doesn't know transcription\.language 'de', only en"):
            load_whisper(self.config(of_english, language="de"))
        path = str(Clip(n_frames=10, rate=5, audio=tone(500, 2, AUDIO_RATE)).write(tmp_path / "v.mp4"))
        assert make_transcribe(self.config(of_english))(path)

    def test_other_networks_and_damage_are_refused(self, tiny_whisper: Path, tmp_path: Path) -> None:
        other = shutil.copytree(tiny_whisper, tmp_path / "other")
        transformers.BertModel(
            transformers.BertConfig(hidden_size=8, num_attention_heads=1, num_hidden_layers=1, intermediate_size=8)
        ).save_pretrained(other)
        with pytest.raises(WeightsError, match="other"):
            load_whisper(self.config(other))
        cut = shutil.copytree(tiny_whisper, tmp_path / "cut")
        (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:5000])
        with pytest.raises(WeightsError, match="can't be loaded as Whisper"):
            load_whisper(self.config(cut))
        with_code = shutil.copytree(tiny_whisper, tmp_path / "code")
        settings = json.loads((with_code / "config.json").read_text())
        (with_code / "config.json").write_text(
            json.dumps(settings | {"model_type": "x", "auto_map": {"AutoModel": "a.B"}})
        )
        with pytest.raises(WeightsError, match="code of its own"):
            load_whisper(self.config(with_code))
        (cut / "generation_config.json").unlink()
        with pytest.raises(WeightsError, match=r"no file generation_config\.json"):
            load_whisper(self.config(cut))

    def test_an_untrained_one_is_refused(self) -> None:
        with pytest.raises(ValueError, match="an untrained Whisper hears nothing"):
            TranscriptionConfig(pretrained="random:0")
