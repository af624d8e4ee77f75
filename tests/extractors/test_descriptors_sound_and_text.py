from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgn_ma.extractors.audio_patches import hz_to_mel
from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US, ExtractionError
from mgn_ma.extractors.descriptors.audio import AudioDescriptorConfig, AudioDescriptorExtractor
from mgn_ma.extractors.descriptors.text import TextDescriptorConfig, TextDescriptorExtractor
from mgn_ma.media.errors import MediaError
from mgn_ma.media.source import VideoSource

AUDIO = AudioDescriptorExtractor(AudioDescriptorConfig())
CAPTIONS = TextDescriptorExtractor(TextDescriptorConfig(source="captions"))
TITLE = TextDescriptorExtractor(TextDescriptorConfig(source="title"))
RATE = 48_000


@pytest.fixture(scope="module")
def clips() -> Any:
    sys.path.insert(0, str(Path(__file__).parents[1] / "media"))
    import media_clips

    return media_clips


def tone(hertz: float, seconds: float, loudness: float = 0.3) -> npt.NDArray[np.float32]:
    return (loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def heard(clips: Any, folder: Path, samples: npt.NDArray[np.float32], name: str = "sound.mp4") -> Any:
    path = clips.Clip(n_frames=10, audio=samples).write(folder / name)
    return AUDIO.extract(VideoSource("v", str(path), "d", 1_000_000, has_audio=True))


def band_of(hertz: float) -> int:
    edges = np.linspace(hz_to_mel(125.0), hz_to_mel(7500.0), 66)
    return int(np.abs(edges[1:-1] - hz_to_mel(hertz)).argmin())


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 4000.0])
def test_a_tone_is_loudest_in_its_band_and_steady(clips: Any, tmp_path: Path, hertz: float) -> None:
    rows = heard(clips, tmp_path, tone(hertz, 4.0))
    assert rows.vectors.shape[1] == AUDIO.width == 196
    inner = rows.vectors[1:-1]
    assert (np.abs(inner[:, :64].argmax(axis=1) - band_of(hertz)) <= 1).all()
    assert (inner[:, 64 + band_of(hertz)] < 0.2).all()


def test_patches_are_960_ms_and_the_tail_is_dropped(clips: Any, tmp_path: Path) -> None:
    rows = heard(clips, tmp_path, tone(440.0, 3.5))
    assert rows.timestamps_us.tolist() == [0, 960_000, 1_920_000]
    assert rows.ends_us.tolist() == [960_000, 1_920_000, 2_880_000]


def test_louder_is_louder_and_a_beginning_is_a_rise(clips: Any, tmp_path: Path) -> None:
    samples = np.concatenate([np.zeros(round(1.5 * RATE), np.float32), tone(500.0, 2.5)])
    rows = heard(clips, tmp_path, samples)
    loudness, rise = rows.vectors[:, 192], rows.vectors[:, 195]
    assert loudness[0] < loudness[1] < loudness[2]
    assert rise.argmax() == 1
    assert rise[1] > 3 * np.abs(np.delete(rise, 1)).max()


def test_too_little_sound_and_none_are_said(clips: Any, tmp_path: Path) -> None:
    with pytest.raises(ExtractionError, match=r"shorter than the 0\.975 s"):
        heard(clips, tmp_path, tone(440.0, 0.5))
    silent = clips.Clip(n_frames=10).write(tmp_path / "silent.mp4")
    with pytest.raises(MediaError, match="no audio stream"):
        AUDIO.extract(VideoSource("v", str(silent), "d", 1_000_000, has_audio=True))


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(max_size=60), max_size=6))
def test_any_text_has_a_vector_of_length_one_at_most(texts: list[str]) -> None:
    vectors = CAPTIONS.describe(texts)
    assert vectors.shape == (len(texts), CAPTIONS.width)
    assert np.isfinite(vectors).all()
    assert (np.linalg.norm(vectors, axis=1) < 1.0 + 1e-5).all()
    again = CAPTIONS.describe([*reversed(texts)])[::-1]
    np.testing.assert_array_equal(vectors, again)


def test_words_count_and_case_does_not() -> None:
    first, shouted, alike, other = CAPTIONS.describe(
        ["a calm and sleepy river", "A CALM and sleepy RIVER", "the sleepy river was calm", "furious thunder strikes"]
    )
    np.testing.assert_array_equal(first, shouted)
    assert first @ first == pytest.approx(1.0, abs=1e-5)
    assert first @ alike > 0.5
    assert abs(first @ other) < 0.25


def test_a_row_for_each_merged_cue_of_speech(tmp_path: Path) -> None:
    path = tmp_path / "v.en.vtt"
    path.write_text(
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\n[Music]\n\n00:00:03.000 --> 00:00:05.000\nwild and free\n\n"
        "00:00:06.000 --> 00:00:07.000\n[Music]\n"
    )
    source = VideoSource("v", captions_path=str(path), captions_digest="d")
    rows = CAPTIONS.extract(source)
    assert (rows.timestamps_us.tolist(), rows.ends_us.tolist()) == ([3_000_000], [5_000_000])
    np.testing.assert_array_equal(rows.vectors, CAPTIONS.describe(["wild and free"]))


def test_captions_without_a_cue_are_a_track_without_rows(tmp_path: Path) -> None:
    (tmp_path / "v.vtt").write_text("WEBVTT\n\n")
    rows = CAPTIONS.extract(VideoSource("v", captions_path=str(tmp_path / "v.vtt")))
    assert rows.vectors.shape == (0, CAPTIONS.width)


def test_a_title_holds_always() -> None:
    rows = TITLE.extract(VideoSource("v", title="Neon city"))
    assert (rows.timestamps_us.tolist(), rows.ends_us.tolist()) == ([START_OF_TIME_US], [END_OF_TIME_US])
    np.testing.assert_array_equal(rows.vectors, CAPTIONS.describe(["Neon city"]))
    assert len(TITLE.extract(VideoSource("v", title="[Music]"))) == 1, "a title is a title"
    with pytest.raises(ExtractionError, match="no title"):
        TITLE.extract(VideoSource("w"))


def test_source_and_clock_are_those_of_the_configuration() -> None:
    assert CAPTIONS.clock == "cues"
    assert TITLE.clock == "whole"
    captions, title = TextDescriptorConfig(source="captions"), TextDescriptorConfig(source="title")
    assert captions.fingerprint() != title.fingerprint()
