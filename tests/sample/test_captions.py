"""Captions as YouTube's automatic ones are, and what is left of them when the roll-up is undone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mgn_ma.media.subtitles import read_captions
from mgn_ma.sample.captions import automatic_captions
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.process import SlowSignal
from mgn_ma.sample.script import write_script
from mgn_ma.sample.speech import GRADED_WORDS, MUSIC, SpokenLine, speak

LINES = [
    SpokenLine((MUSIC,), (200_000,), 2_000_000),
    SpokenLine(("calm", "and", "sleepy"), (2_000_000, 2_400_000, 2_810_000), 3_500_000),
    SpokenLine(("wild",), (3_500_000,), 4_250_000),
]


def test_lines_roll_up_word_by_word_with_blinks_of_10_ms_and_music_over_the_next_line() -> None:
    cues = automatic_captions(LINES).split("\n\n")
    assert cues[0] == "WEBVTT\nKind: captions\nLanguage: en"
    assert cues[1] == "00:00:00.200 --> 00:00:02.700 align:start position:0%\n \n[Music]"
    typed = "calm<00:00:02.400><c> and</c><00:00:02.810><c> sleepy</c>"
    assert cues[2] == f"00:00:02.000 --> 00:00:03.490 align:start position:0%\n \n{typed}"
    assert cues[3] == "00:00:03.490 --> 00:00:03.500 align:start position:0%\ncalm and sleepy\n "
    assert cues[4] == "00:00:03.500 --> 00:00:04.240 align:start position:0%\ncalm and sleepy\nwild"


def test_a_reader_that_undoes_the_roll_up_finds_each_line_once(tmp_path: Path) -> None:
    seen_music = 0
    for plan in write_script(SampleConfig())[:12]:
        lines = speak(plan, SlowSignal((1 / 15,), (0.0,)))
        path = tmp_path / "captions.vtt"
        path.write_text(automatic_captions(lines), encoding="utf-8")
        read = read_captions(str(path))
        assert [cue.text for cue in read] == [" ".join(line.words) for line in lines]
        for cue, line in zip(read, lines, strict=True):
            assert abs(cue.start_us - line.starts_us[0]) <= 10_000
        seen_music += MUSIC in [cue.text for cue in read]
    assert 0 < seen_music < 12


def test_words_follow_the_signal() -> None:
    level_of = {word: level for level, words in enumerate(GRADED_WORDS) for word in words}
    signal = SlowSignal((1 / 15,), (1.0,))
    values, levels = [], []
    for plan in write_script(SampleConfig())[:10]:
        for line in speak(plan, signal):
            heard = [level_of[word] for word in line.words if word in level_of]
            if heard:
                levels.append(np.mean(heard))
                values.append(float(signal((line.starts_us[0] + line.end_us) / 2e6)))
    assert np.corrcoef(levels, values)[0, 1] > 0.95


def test_no_word_stands_for_two_levels() -> None:
    words = [word for level in GRADED_WORDS for word in level]
    assert len(set(words)) == len(words)
    assert all(re.fullmatch("[a-z]+", word) for word in words)
