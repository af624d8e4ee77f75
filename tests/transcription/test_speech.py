"""From sound to cues: pieces and times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heard import silence, tone, tones
from media_clips import AUDIO_RATE, Clip

from mgn_ma.media.errors import MediaError, NoAudioError
from mgn_ma.transcription import speech
from mgn_ma.transcription.speech import SAMPLE_RATE as RATE
from mgn_ma.transcription.speech import Segment, audible_pieces, transcribe


class TestPieces:
    def test_silence_is_left_out_and_nothing_else(self) -> None:
        sound = np.concatenate([silence(5), tone(400, 1), silence(1.5), tone(400, 1), silence(3), tone(400, 2)])
        pieces = list(audible_pieces(np.array_split(sound, 77)))
        times = [(first / RATE, (first + len(samples)) / RATE) for first, samples in pieces]
        assert np.allclose(times, [(4.5, 9.0), (11.0, 13.5)], atol=0.001)
        assert all(np.array_equal(samples, sound[first : first + len(samples)]) for first, samples in pieces)

    @pytest.mark.parametrize("blocks", [[], [silence(3)], [np.zeros(0, np.float32)], [0.9e-3 * np.ones(RATE)]])
    def test_silence_alone_is_no_piece(self, blocks: list[Any]) -> None:
        assert list(audible_pieces(blocks)) == []

    def test_long_sound_is_cut_where_it_is_quietest_and_nothing_is_lost(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(speech, "PIECE_SECONDS", 10)
        monkeypatch.setattr(speech, "CUT_SECONDS", 4)
        sound = tone(400, 25)
        sound[round(8.3 * RATE) : round(8.6 * RATE)] *= 0.1
        pieces = list(audible_pieces(iter(np.array_split(sound, 400))))
        assert 8.3 < pieces[1][0] / RATE < 8.6
        assert all(len(samples) <= 10 * RATE for _, samples in pieces)
        assert np.array_equal(np.concatenate([samples for _, samples in pieces]), sound)
        assert [first for first, _ in pieces] == [0, *np.cumsum([len(samples) for _, samples in pieces])[:-1]]


class TestTimes:
    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
    def test_they_are_those_of_presentation_where_sound_starts_late_and_has_gaps(
        self, tmp_path: Path, suffix: str
    ) -> None:
        sound = np.concatenate([tone(500, 1, AUDIO_RATE), silence(4, AUDIO_RATE), tone(900, 0.5, AUDIO_RATE)])
        path = Clip(n_frames=45, rate=5, audio=sound, audio_start=3).write(tmp_path / f"v.{suffix}")
        cues = transcribe(str(path), tones)
        assert [cue.text for cue in cues] == ["5", "9"]
        times = [(cue.start_us / 1e6, cue.end_us / 1e6) for cue in cues]
        assert np.allclose(times, [(3, 4), (8, 8.5)], atol=0.06)

    def test_what_lies_outside_of_a_piece_or_says_nothing_is_put_right(self, tmp_path: Path) -> None:
        path = Clip(n_frames=10, rate=5, audio=tone(500, 2, AUDIO_RATE)).write(tmp_path / "v.mp4")
        told = [Segment(1.5, 30.0, "late"), Segment(29, 30, "later"), Segment(0, 1, " \n"), Segment(0.2, 0.1, "a\n b")]
        cues = transcribe(str(path), lambda _: told)
        assert [cue.text for cue in cues] == ["a b", "late", "later"]
        assert all(0 <= cue.start_us < cue.end_us <= 2_050_000 for cue in cues)

    def test_no_sound_is_no_error_of_the_file(self, tmp_path: Path) -> None:
        with pytest.raises(NoAudioError, match="has no audio stream"):
            transcribe(str(Clip(n_frames=3).write(tmp_path / "v.mp4")), tones)
        (tmp_path / "w.mp4").write_text("no video")
        with pytest.raises(MediaError, match="is no video file"):
            transcribe(str(tmp_path / "w.mp4"), tones)
