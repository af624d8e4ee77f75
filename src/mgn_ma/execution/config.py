"""Where work that fans out is done."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ExecutionConfig(BaseModel):
    """Where items are worked on, and by how many workers; the parameter ``execution``.

    Attributes:
        engine: ``local`` (this machine) or ``ray`` (a cluster, or a Ray started here for the run).
        workers: how many at once. One local worker is this very process; more are processes of their own. Each loads
            its network once.
        gpus_per_worker: GPUs that a Ray worker reserves; a fraction lets workers share one.
        address: of a running Ray cluster (``auto``, ``ray://host:10001``); ``None`` starts Ray here.
        retries: how often an item is tried again after its worker died.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: Literal["local", "ray"] = "local"
    workers: int = Field(default=1, ge=1)
    gpus_per_worker: float = Field(default=0.0, ge=0.0)
    address: str | None = None
    retries: int = Field(default=2, ge=0)

    @model_validator(mode="after")
    def _ray_settings_belong_to_ray(self) -> Self:
        if self.engine == "local" and (self.address is not None or self.gpus_per_worker):
            raise ValueError("address and gpus_per_worker are settings of the engine 'ray', and the engine is 'local'")
        return self
