"""Which video IDs are accepted: an ID becomes a file name, part of a URL and an argument of commands."""

from __future__ import annotations

import hashlib
import re

from mgn_ma.errors import MGNMAError

MAX_LENGTH = 128
"""Leaves room for suffixes within the 255 bytes that file systems give a name; YouTube's IDs have 11 characters."""

_READABLE_LENGTH = 60

_WITH_DIGEST = re.compile(r".*-[0-9a-f]{12}")
_ALLOWED = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


class VideoIdError(MGNMAError):
    """A video ID can't be used as a file name."""


def validate_video_id(video_id: object) -> str:
    """Return the ID unchanged if it is safe as a file name: ASCII letters, digits, ``-``, ``_`` and inner dots.

    IDs with a leading ``-`` or ``_`` are common in EEV and accepted; whoever builds a command line has to guard them.

    Raises:
        VideoIdError: naming the ID and what is wrong with it.
    """
    if not isinstance(video_id, str):
        raise VideoIdError(f"video ID {video_id!r} is not text but {type(video_id).__name__}")
    if not video_id:
        raise VideoIdError("a video ID is empty")
    if len(video_id) > MAX_LENGTH:
        raise VideoIdError(
            f"video ID {video_id[:20]!r}… has {len(video_id)} characters, and a file name has room for {MAX_LENGTH}"
        )
    if _ALLOWED.fullmatch(video_id):
        return video_id
    if "/" in video_id or "\\" in video_id or video_id in {".", ".."}:
        raise VideoIdError(f"video ID {video_id!r} is a path; it must be a plain file name")
    if any(not character.isprintable() for character in video_id):
        raise VideoIdError(f"video ID {video_id!r} has a control character")
    if video_id.startswith("."):
        raise VideoIdError(f"video ID {video_id!r} starts with a dot, which hides files")
    odd = sorted({character for character in video_id if not _ALLOWED.fullmatch(f"a{character}")})
    raise VideoIdError(f"video ID {video_id!r} has {' '.join(odd)!r}; letters, digits, '-', '_' and '.' are accepted")


def file_name_of(video_id: str) -> str:
    """A name that any file system and any link takes: a valid ID itself, else what is plain of it and a digest.

    IDs that differ get names that differ, so a valid one that ends as if in a digest gets one, too.
    """
    try:
        if not _WITH_DIGEST.fullmatch(validate_video_id(video_id)):
            return video_id
    except VideoIdError:
        pass
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", video_id).strip("-")[:_READABLE_LENGTH] or "video"
    digest = hashlib.sha256(video_id.encode("utf-8", errors="surrogatepass")).hexdigest()
    return f"{plain}-{digest[:12]}"
