"""What every class of settings has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Configuration(BaseModel):
    """Settings that do not change once they are made; a key that nobody knows is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
