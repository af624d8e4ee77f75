"""Where work that fans out is done."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mgn_ma.configuration import Configuration


class ExecutionConfig(Configuration):
    """Where items are worked on, by how many workers and within which limits; the parameter ``execution``.

    Attributes:
        engine: ``local`` (this machine) or ``ray`` (a cluster, or a Ray started here for the run).
        workers: processes that work at once; each loads its network once, and they share the processor evenly.
        time_limit_s: seconds after which the worker on an item is ended, and the item given up; ``None``: never.
        memory_limit_gib: of a worker's data (heap and anonymous memory; not files that are mapped, nor what a GPU
            driver only reserves): an allocation beyond it fails, which costs the item. ``None``: no limit.
        retries: how often an item is tried again after its worker died.
        gpus_per_worker: GPUs that a Ray worker reserves; a fraction lets workers share one.
        address: of a running Ray cluster (``auto``, ``ray://host:10001``); ``None`` starts Ray here.
    """

    engine: Literal["local", "ray"] = "local"
    workers: int = Field(default=1, ge=1)
    time_limit_s: float | None = Field(default=21_600.0, gt=0)
    memory_limit_gib: float | None = Field(default=16.0, gt=0)
    retries: int = Field(default=2, ge=0)
    gpus_per_worker: float = Field(default=0.0, ge=0.0)
    address: str | None = None

    @model_validator(mode="after")
    def _ray_settings_belong_to_ray(self) -> Self:
        if self.engine == "local" and (self.address is not None or self.gpus_per_worker):
            raise ValueError("address and gpus_per_worker are settings of the engine 'ray', and the engine is 'local'")
        return self
