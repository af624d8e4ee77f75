"""One at a time may move the champion: a lock that every MLflow has, whatever stands behind it.

The name of a registered model is unique in the database. Whoever manages to create the model named as the lock has it,
on SQLite as on PostgreSQL, directly or through a server, and gives it back by deleting it. It is held for as long as it
takes to move an alias, so that one of ten minutes is a dead process's.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST
from mlflow.tracking import MlflowClient

from mgn_ma.errors import MGNMAError
from mgn_ma.tracking.versions import is_error

logger = logging.getLogger(__name__)

PATIENCE_S = 60.0
ABANDONED_AFTER_S = 600.0
_PAUSE_S = 0.2


class PromotionBusyError(MGNMAError):
    """Another promotion goes on and doesn't end; the message says whose it is."""


@contextmanager
def promotion_lock(client: MlflowClient, name: str, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the lock of the registered model ``name``.

    Raises:
        PromotionBusyError: somebody has held it for longer than ``patience_s``.
    """
    lock, token = f"{name}.promotion-lock", uuid.uuid4().hex
    tags = {"holder": f"process {os.getpid()} on {socket.gethostname()}", "token": token}
    deadline = time.monotonic() + patience_s
    while not _created(client, lock, tags):
        other = _found(client, lock)
        if other is not None and time.time() - other.creation_timestamp / 1000 > ABANDONED_AFTER_S:
            logger.warning("The lock %s of %s is older than ten minutes and is removed", lock, _holder(other))
            _delete(client, lock)
        elif time.monotonic() > deadline:
            raise PromotionBusyError(
                f"{_holder(other)} has been moving the champion of {name} for {patience_s:.0f} s. If it is dead, "
                f"delete the registered model {lock}, or try again in ten minutes"
            )
        else:
            time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        mine = _found(client, lock)
        if mine is not None and mine.tags.get("token") == token:
            _delete(client, lock)


def _created(client: MlflowClient, lock: str, tags: dict[str, str]) -> bool:
    try:
        client.create_registered_model(lock, tags=tags, description="Exists while the champion is being moved.")
    except MlflowException as error:
        if not is_error(error, RESOURCE_ALREADY_EXISTS):
            raise
        return False
    return True


def _found(client: MlflowClient, lock: str) -> RegisteredModel | None:
    try:
        return client.get_registered_model(lock)
    except MlflowException as error:
        if not is_error(error, RESOURCE_DOES_NOT_EXIST):
            raise
        return None


def _delete(client: MlflowClient, lock: str) -> None:
    try:
        client.delete_registered_model(lock)
    except MlflowException as error:
        if not is_error(error, RESOURCE_DOES_NOT_EXIST):
            raise


def _holder(lock: RegisteredModel | None) -> str:
    return str(lock.tags.get("holder", "somebody")) if lock else "somebody"
