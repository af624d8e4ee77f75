"""Work outlives tracking: a server that goes away while a run computes costs a warning, not the run."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException

logger = logging.getLogger(__name__)

RETRY_LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""How long one call waits for a server; MLflow's own seven retries of two minutes would hold up every epoch."""

_REASON_LENGTH = 300


def limit_retries() -> None:
    """Make calls to MLflow give up after seconds; values that the user has set stand."""
    for name, value in RETRY_LIMITS.items():
        os.environ.setdefault(name, value)


@contextmanager
def warn_on_outage(what: str) -> Iterator[None]:
    """Say that MLflow did not get ``what``, and go on."""
    try:
        yield
    except (MlflowException, OSError) as error:
        logger.warning("MLflow did not get %s; the work goes on. %s", what, str(error)[:_REASON_LENGTH])
