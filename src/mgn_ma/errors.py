"""The base of the project's errors, and the one rule by which an error ends a command with its message alone."""

from __future__ import annotations

import os
from collections.abc import Iterator

TRACEBACK_VARIABLE = "MGN_MA_TRACEBACK"
"""Set, it makes every error show where it was raised."""


class MGNMAError(Exception):
    """Something foreseen is wrong; the message is for people: what it is about, and the way out."""


def message_for_people(error: BaseException, also: tuple[type[BaseException], ...] = ()) -> str | None:
    """The message of the first foreseen error in the chain of causes, without frames.

    Args:
        error: what was raised, maybe a library's error around ours.
        also: classes of others whose messages are for people, too.

    Returns:
        ``None`` where nobody foresaw it, or where the user has set ``MGN_MA_TRACEBACK``: then the frames are wanted.
    """
    if os.environ.get(TRACEBACK_VARIABLE):
        return None
    return next((str(cause) for cause in _causes(error) if isinstance(cause, (MGNMAError, *also))), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
