from __future__ import annotations

import io
import logging

import pytest

from mgn_ma.execution.progress import Progress, duration, progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _hear_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mgn_ma")


def test_a_log_file_gets_a_line_each_tenth_with_count_share_and_time_left(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with Progress(100, "image tracks", stream=io.StringIO(), clock=clock) as meter:
        for _ in range(100):
            clock.now += 2.0
            meter.update()
    lines = caplog.messages
    assert len(lines) == 10
    assert lines[0] == "image tracks: 10 of 100 (10%), 20 s taken, about 3 min 00 s left"
    assert lines[-1] == "image tracks: 100 of 100 (100%), 3 min 20 s taken"


def test_what_the_first_one_waited_for_is_not_expected_of_the_others(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with Progress(4, "videos", stream=io.StringIO(), clock=clock) as meter:
        for seconds in (20.0, 15.0):
            clock.now += seconds
            meter.update()
        assert caplog.messages == [
            "videos: 1 of 4 (25%), 20 s taken",
            "videos: 2 of 4 (50%), 35 s taken, about 30 s left",
        ]


def test_slow_steps_give_a_line_every_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    meter = Progress(10_000, "s3d", stream=io.StringIO(), clock=clock)
    for _ in range(60):
        clock.now += 4.0
        meter.update()
    assert len(caplog.messages) == 4


def test_a_short_stage_gives_one_line(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with Progress(500, "labels", stream=io.StringIO(), clock=clock) as meter:
        for _ in range(500):
            clock.now += 0.024
            meter.update()
    assert caplog.messages == ["labels: 500 of 500 (100%), 12 s taken"]


def test_what_is_done_at_once_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert list(progress(range(500), description="labels")) == list(range(500))
    assert caplog.messages == []


def test_an_interrupted_stage_says_how_far_it_came(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RuntimeError), Progress(4, "tracks", stream=io.StringIO()) as meter:
        meter.update()
        raise RuntimeError
    assert caplog.messages[0].startswith("tracks: 1 of 4 (25%)")


def test_a_terminal_gets_a_bar_and_no_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    terminal = Terminal()
    with Progress(3, "action tracks", stream=terminal) as meter:
        for _ in range(3):
            meter.update(note="r 0.12")
    drawn = terminal.getvalue()
    assert "action tracks" in drawn
    assert "3/3" in drawn
    assert "r 0.12" in drawn
    assert caplog.messages == []


def test_unknown_totals_still_count(caplog: pytest.LogCaptureFixture) -> None:
    assert len(list(progress(iter("abc"), description="rows"))) == 3
    assert caplog.messages[0].startswith("rows: 3, ")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (8.1, "8.1 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.8, "1 h 00 min"),
        (11_520, "3 h 12 min"),
        (4 * 86400 + 6 * 3600, "4 d 6 h"),
    ],
)
def test_durations_read_like_speech(seconds: float, said: str) -> None:
    assert duration(seconds) == said
