from __future__ import annotations

from fractions import Fraction

from mgn_ma.media.clock import PresentationClock, floor_us

TENTH = Fraction(1, 10)


def place(clock: PresentationClock, *tenths: int | None) -> list[int | None]:
    """Where frames of a tenth of a second come to stand, in tenths."""
    placed = [clock.place(None if at is None else at * TENTH, TENTH) for at in tenths]
    return [None if at is None else at // 100_000 for at in placed]


def test_times_count_from_zero_and_are_rounded_down() -> None:
    clock = PresentationClock(Fraction(7, 5), TENTH)
    assert clock.place(Fraction(7, 5)) == 0
    assert clock.place(Fraction(7, 5) + Fraction(1, 6), Fraction(1, 6)) == 166_666
    assert clock.end_us == 333_333
    assert floor_us(Fraction(-1, 3_000_000)) == -1


def test_a_frame_without_a_time_follows_its_forerunner() -> None:
    assert place(PresentationClock(Fraction(0), TENTH), None, None, 5, None) == [0, 1, 5, 6]


def test_late_frames_are_left_out() -> None:
    assert place(PresentationClock(Fraction(0), TENTH), 0, 3, 2, 3, 4) == [0, 3, None, None, 4]


def test_after_a_splice_frames_keep_their_distances() -> None:
    back = PresentationClock(Fraction(0), TENTH)
    assert place(back, 500, 501, 100, 103, 104) == [500, 501, 502, 505, 506]
    ahead = PresentationClock(Fraction(0), TENTH)
    assert place(ahead, 0, 900_000, 900_003, 900_004) == [0, 1, 4, 5]


def test_a_long_gap_is_no_splice() -> None:
    assert place(PresentationClock(Fraction(0), TENTH), 0, 35_000) == [0, 35_000]


def test_what_is_left_out_on_purpose_is_no_splice() -> None:
    clock = PresentationClock(Fraction(1), TENTH)
    assert place(clock, 10) == [0]
    clock.skip_to(Fraction(90_001))
    assert place(clock, 900_010) == [900_000]
