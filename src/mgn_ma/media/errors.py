"""What can be wrong with a media file, in words that name the file."""

from __future__ import annotations

from mgn_ma.errors import MGNMAError
from mgn_ma.redaction import redacted


class MediaError(MGNMAError):
    """A media file can't be read; the base of all errors of this room.

    Attributes:
        path: the file.
        reason: what is wrong with it, without the path and without secrets.
        transient: whether it says nothing of the file's content: it is not there now, or its disk or store fails.
    """

    def __init__(self, path: str, reason: str, *, transient: bool = False) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = redacted(reason)
        self.transient = transient

    def __str__(self) -> str:
        return f"{redacted(self.path)}: {self.reason}"


class VideoError(MediaError):
    """The file has no video that can be decoded."""


class AudioError(MediaError):
    """The file has no audio that can be decoded."""


class NoAudioError(AudioError):
    """The file has no audio stream."""


class CaptionsError(MediaError):
    """The file holds no captions in a format that is understood."""
