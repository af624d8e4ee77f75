"""What can be set of the rendered sample."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from mgn_ma.configuration import Configuration


class SampleConfig(Configuration):
    """Settings of the sample; together with the code they decide every byte of it."""

    render: bool = False
    """Whether this environment's raw data may be replaced by the sample. False where they are somebody's own."""
    videos: Annotated[int, Field(ge=5)] = 40
    """Videos in all; about three of five are for training, one each for validation and test."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides everything that is drawn; the reactions' laws (themes, mixes, lags) are the same for every seed."""
    shortest_seconds: Annotated[float, Field(ge=4.0)] = 15.0
    longest_seconds: Annotated[float, Field(le=600.0)] = 30.0
    theme_share: Annotated[float, Field(ge=0.25, le=1.0)] = 0.6
    """Share of a video's scenes that wear its theme's palette, and of its passages that have its theme's sound."""
    noise: Annotated[float, Field(ge=0.0)] = 0.5
    """Standard deviation of the annotation noise, on the logit scale of the labels."""
    awkward: bool = True
    """Whether some videos are missing, silent, without captions, of variable rate, rotated or of odd size."""
    workers: Annotated[int, Field(ge=1)] = 2
    """Processes that render."""

    @model_validator(mode="after")
    def _lengths_ascend(self) -> Self:
        if self.longest_seconds < self.shortest_seconds:
            raise ValueError(
                f"longest_seconds ({self.longest_seconds}) must not be less than shortest_seconds "
                f"({self.shortest_seconds})"
            )
        return self
