"""Presentation time: container timestamps in, microseconds since t = 0 out."""

from __future__ import annotations

from fractions import Fraction

from mgn_ma.media.container import MICROSECONDS

_SPLICE = Fraction(1)
_DEFAULT_RATE = Fraction(25)


class PresentationClock:
    """Places the frames of one stream on the timeline, in the order in which the decoder gives them.

    - A time is rounded down to the microsecond, like the data set's own timestamps: the frame at 1/6 s is at 166666.
    - A frame without a timestamp follows its predecessor at once.
    - A frame that isn't later than its predecessor is too late to be shown, and is left out.
    - A jump backwards of more than a second is a splice (a new clock): its frame follows its predecessor at once, and
      the later ones keep their distance to it.

    Args:
        zero: container time of t = 0, in seconds.
        rate: frames per second, where known: the length of a frame that doesn't tell its own.
        counted: ignore timestamps and place frame k at k / rate, for containers that store none.
    """

    def __init__(self, zero: Fraction, rate: Fraction | None, *, counted: bool = False) -> None:
        self._zero = zero
        self._frame_length = 1 / (rate or _DEFAULT_RATE)
        self._counted = counted
        self._last: Fraction | None = None
        self._end = Fraction(0)

    def place(self, pts: int | None, duration: int, time_base: Fraction | None) -> int | None:
        """Microsecond at which a frame appears, or ``None`` if its time has passed."""
        time_base = time_base or Fraction(1, MICROSECONDS)
        if pts is None or self._counted:
            time = self._end
        else:
            time = pts * time_base - self._zero
            if self._last is not None and time <= self._last:
                if self._last - time <= _SPLICE:
                    return None
                self._zero -= self._end - time
                time = self._end
        length = duration * time_base if duration > 0 and not self._counted else self._frame_length
        self._last, self._end = time, time + length
        return floor_us(time)

    def time_us(self, pts: int, time_base: Fraction) -> int:
        """Microsecond of a container timestamp, as long as no splice has come."""
        return floor_us(pts * time_base - self._zero)

    @property
    def end_us(self) -> int:
        """Microsecond after the last one of the last frame placed."""
        return floor_us(self._end)


def floor_us(seconds: Fraction) -> int:
    """Whole microseconds, rounded down."""
    return seconds.numerator * MICROSECONDS // seconds.denominator
