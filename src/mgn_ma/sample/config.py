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
    world: Annotated[int, Field(ge=0)] = 0
    """Decides the laws by which viewers react: who is moved by what, which way, how late and for how long."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides the videos of a world."""
    shortest_seconds: Annotated[float, Field(ge=4.0)] = 15.0
    longest_seconds: Annotated[float, Field(le=600.0)] = 30.0
    theme_share: Annotated[float, Field(ge=0.25, le=1.0)] = 0.6
    """Share of the scenes that wear the palette of the theme that a video shows, and of the passages with its sound."""
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
