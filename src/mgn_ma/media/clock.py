"""Presentation time: container timestamps in, microseconds since t = 0 out."""

from __future__ import annotations

from fractions import Fraction

from mgn_ma.media.container import MICROSECONDS

SPLICE_BACK = Fraction(1)
SPLICE_AHEAD = Fraction(3600)


class PresentationClock:
    """Places the frames of one stream on the timeline, in the order in which the decoder gives them.

    - A time is rounded down to the microsecond, like the data set's own timestamps: the frame at 1/6 s is at 166666.
    - A frame without a timestamp follows its predecessor at once.
    - A frame that isn't later than its predecessor is too late to be shown, and is left out.
    - A jump back by more than a second, or ahead by more than an hour, is a splice of another clock: the frame follows
      its predecessor at once, and the later ones keep their distance to it.

    Args:
        zero: container time of t = 0, in seconds.
        frame_length: in seconds, of a frame that doesn't tell its own.
    """

    def __init__(self, zero: Fraction, frame_length: Fraction) -> None:
        self._zero = zero
        self._frame_length = frame_length
        self._last: Fraction | None = None
        self._end = Fraction(0)

    def place(self, time: Fraction | None, length: Fraction | None = None) -> int | None:
        """Microsecond at which the next frame appears, or ``None`` if its time has passed.

        Args:
            time: of the frame in container time, in seconds.
            length: of the frame in seconds, where known.
        """
        placed = self._end if time is None else time - self._zero
        if self._last is not None and placed <= self._last and self._last - placed <= SPLICE_BACK:
            return None
        if (self._last is not None and placed < self._last) or placed - self._end > SPLICE_AHEAD:
            self._zero += placed - self._end
            placed = self._end
        self._last = placed
        self._end = placed + (length or self._frame_length)
        return floor_us(placed)

    def skip_to(self, time: Fraction | None) -> None:
        """Frames were left out on purpose, and the next one is at a container time in seconds: that is no splice."""
        if time is not None:
            self._end = max(self._end, time - self._zero)

    def time_us(self, time: Fraction) -> int:
        """Microsecond of a container time, as long as no splice has come."""
        return floor_us(time - self._zero)

    @property
    def end_us(self) -> int:
        """Microsecond after the last one of the last frame placed."""
        return floor_us(self._end)


def floor_us(seconds: Fraction) -> int:
    """Whole microseconds, rounded down."""
    return seconds.numerator * MICROSECONDS // seconds.denominator
