"""Progress of a long stage: a bar with counts and time left in a terminal, a few plain lines in a log file."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import NoReturn, Self, TextIO, TypeVar

from tqdm import tqdm

logger = logging.getLogger(__name__)

T = TypeVar("T")

LINE_EVERY_SECONDS = 60.0
LINE_EVERY_SHARE = 0.1
QUIET_SECONDS = 15.0
"""Between two lines: a stage that is done sooner than this gives one, not ten."""
SILENT_SECONDS = 10.0
"""One that is done sooner than this gives none."""


class Progress:
    """Counts what is done of ``total``; a context manager.

    In a terminal it draws a bar on ``stream``. Elsewhere (a log file, a scheduler) it logs a line about every tenth of
    the work or every minute, with the count, the share, the time taken and the time left.

    Args:
        total: how many things there are; ``None`` where nobody knows.
        description: what is being done, such as ``"image tracks"``.
        unit: what one thing is, such as ``"video"``; only the bar shows it.
        stream: where a terminal would be; standard error by default.
        clock: seconds, ever growing; tests hand in their own.
    """

    def __init__(
        self,
        total: int | None,
        description: str,
        *,
        unit: str = "it",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self.description = description
        self.done = 0
        self._clock = clock
        self._note = ""
        self._started_at = self._last_line_at = clock()
        self._first: tuple[int, float] | None = None
        self._last_line_done = 0
        self._last_logged = -1
        stream = stream or sys.stderr
        self._bar: tqdm[NoReturn] | None = None
        if stream.isatty():
            self._bar = tqdm(total=total, desc=description, unit=unit, file=stream, dynamic_ncols=True, smoothing=0.1)

    def update(self, n: int = 1, note: str = "") -> None:
        """Say that ``n`` more are done; ``note`` (a loss, a name) stands behind the numbers."""
        self.done += n
        if self._first is None:
            self._first = self.done, self._clock()
        self._note = note or self._note
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(n)
            return
        since_line = self._clock() - self._last_line_at
        share_done = (self.done - self._last_line_done) / self.total if self.total else 0.0
        if since_line >= LINE_EVERY_SECONDS or (since_line >= QUIET_SECONDS and share_done >= LINE_EVERY_SHARE):
            self._log_line()

    def close(self) -> None:
        """End the bar, or say the last line if it has not been said; what was done at once says nothing."""
        if self._bar is not None:
            self._bar.close()
            return
        was_quick = self.done == self.total and self._clock() - self._started_at < SILENT_SECONDS
        if self.done != self._last_logged and not was_quick:
            self._log_line()

    def _log_line(self) -> None:
        elapsed = self._clock() - self._started_at
        self._last_logged = self._last_line_done = self.done
        self._last_line_at = self._clock()
        parts = [
            f"{self.done}" if self.total is None else f"{self.done} of {self.total} ({self.done / self.total:.0%})"
        ]
        parts.append(f"{duration(elapsed)} taken")
        left_s = self._seconds_left()
        if left_s is not None:
            parts.append(f"about {duration(left_s)} left")
        if self._note:
            parts.append(self._note)
        logger.info("%s: %s", self.description, ", ".join(parts))

    def _seconds_left(self) -> float | None:
        """At the pace since the first were done: before them workers start and networks load, which comes once."""
        if self.total is None or self._first is None or not self._first[0] < self.done < self.total:
            return None
        first_done, first_at = self._first
        return (self._clock() - first_at) / (self.done - first_done) * (self.total - self.done)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def progress(
    iterable: Iterable[T], total: int | None = None, description: str = "", *, unit: str = "it"
) -> Iterator[T]:
    """Yield from ``iterable`` and show how far it is; ``total`` is its length where it has one."""
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    with Progress(total, description, unit=unit) as meter:
        for item in iterable:
            yield item
            meter.update()


def duration(seconds: float) -> str:
    """Seconds as people say them: ``"8.1 s"``, ``"2 min 05 s"``, ``"3 h 12 min"``, ``"4 d 6 h"``."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
