"""One at a time may move the champion: a lock that every MLflow has, whatever stands behind it.

The name of a registered model is unique in the database. Whoever manages to create the model named as the lock has it,
on SQLite as on PostgreSQL, directly or through a server, and gives it back by deleting it. A lock that a killed process
has left is removed by a person: MLflow can't delete one only if it is still the same, so that two programs that both
found it abandoned could delete a fresh one.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from mgn_ma.errors import MGNMAError
from mgn_ma.tracking.versions import is_error

TIMEOUT_S = 60.0
_PAUSE_S = 0.2


class PromotionBusyError(MGNMAError):
    """Another promotion goes on and doesn't end; the message says whose it is."""


@contextmanager
def promotion_lock(client: MlflowClient, name: str, timeout_s: float = TIMEOUT_S) -> Iterator[None]:
    """Hold the lock of the registered model ``name``.

    Raises:
        PromotionBusyError: somebody has held it for longer than ``timeout_s``.
    """
    lock = f"{name}.promotion-lock"
    deadline = time.monotonic() + timeout_s
    while not _created(client, lock):
        if time.monotonic() > deadline:
            raise PromotionBusyError(
                f"{_holder(client, lock)} has been moving the champion of {name} for {timeout_s:.0f} s. If it was "
                f"killed, delete the registered model {lock} in MLflow"
            )
        time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        client.delete_registered_model(lock)


def _created(client: MlflowClient, lock: str) -> bool:
    tags = {"holder": f"process {os.getpid()} on {socket.gethostname()}"}
    try:
        client.create_registered_model(lock, tags=tags, description="Exists while the champion is being moved.")
    except MlflowException as error:
        if not is_error(error, "RESOURCE_ALREADY_EXISTS"):
            raise
        return False
    return True


def _holder(client: MlflowClient, lock: str) -> str:
    try:
        return str(client.get_registered_model(lock).tags.get("holder", "somebody"))
    except MlflowException as error:
        if not is_error(error, "RESOURCE_DOES_NOT_EXIST"):
            raise
        return "somebody"
