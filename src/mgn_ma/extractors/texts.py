"""What the extractors of text read: the speech in the captions of a video with its times, or its title for all time."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US, Clock, ExtractionError
from mgn_ma.media.source import VideoSource
from mgn_ma.media.subtitles import read_captions

TextSource = Literal["captions", "title"]
CLOCKS: dict[TextSource, Clock] = {"captions": "cues", "title": "whole"}

Times = npt.NDArray[np.int64]


def timed_texts(video: VideoSource, source: TextSource) -> tuple[Times, Times, list[str]]:
    """Starts and ends, (N,) in microseconds, of N texts: each merged cue of speech, or the title.

    Raises:
        ExtractionError: the video has no such source.
        MediaError: its captions can't be read.
    """
    if source == "title":
        title = " ".join((video.title or "").split())
        if not title:
            raise ExtractionError("there is no title")
        return np.array([START_OF_TIME_US]), np.array([END_OF_TIME_US]), [title]
    if video.captions_path is None:
        raise ExtractionError("there are no captions")
    cues = read_captions(video.captions_path).speech
    starts = np.array([cue.start_us for cue in cues], dtype=np.int64)
    ends = np.array([cue.end_us for cue in cues], dtype=np.int64)
    return starts, ends, [cue.text for cue in cues]
