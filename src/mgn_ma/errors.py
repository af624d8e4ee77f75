"""The base of the project's errors, and the one rule by which an error ends a command with its message alone."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from mgn_ma.redaction import redacted

TRACEBACK_VARIABLE = "MGN_MA_TRACEBACK"
"""Set, it makes every error show where it was raised."""


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class MGNMAError(Exception):
    """Something foreseen is wrong; the message is for people: what it is about, and the way out, and no secrets."""

    def __str__(self) -> str:
        return redacted(super().__str__())


def message_for_people(error: BaseException, also: tuple[type[BaseException], ...] = ()) -> str | None:
    """The message of the first foreseen error in the chain of causes, without frames.

    Args:
        error: what was raised, maybe a library's error around ours or around the system's that a disk is full.
        also: classes of others whose messages are for people, too.

    Returns:
        ``None`` where nobody foresaw it, or where the user has set ``MGN_MA_TRACEBACK``: then the frames are wanted.
    """
    if os.environ.get(TRACEBACK_VARIABLE):
        return None
    return next(filter(None, (_message(cause, also) for cause in _causes(error))), None)


def _message(error: BaseException, also: tuple[type[BaseException], ...]) -> str | None:
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        place = error.filename or "a file of this run"
        return f"{place}: {error.strerror}. What is written already is kept: make room, and the same command goes on"
    return redacted(str(error)) if isinstance(error, (MGNMAError, *also)) else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
