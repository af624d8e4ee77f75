"""What reports show."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ReportingConfig(BaseModel):
    """Settings of the figures.

    Attributes:
        video_id: the validation video whose curves and attention are drawn; ``None`` takes the one whose score is the
            median.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    video_id: str | None = None
