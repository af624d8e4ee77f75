"""Work outlives tracking: a server that goes away while a run computes costs a warning, not the run."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import TypeVar

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from mgn_ma.redaction import redacted

logger = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""How long one call waits for a server; MLflow's own seven retries of two minutes would hold up every epoch."""
PAUSE_S = 60.0
"""How long MLflow is left alone after it has not answered: each call to a server that is down waits for seconds."""

_REASON_LENGTH = 300
_asked_again_at = 0.0


def limit_retries() -> None:
    """Make calls to MLflow give up after seconds; values that the user has set stand."""
    for name, value in RETRY_LIMITS.items():
        os.environ.setdefault(name, value)


def ask_again() -> None:
    """Forget that MLflow has not answered: it did meanwhile."""
    global _asked_again_at
    _asked_again_at = 0.0


def ask(what: str, call: Callable[[], T], *, always: bool = False) -> T | None:
    """Call MLflow; where it does not answer, say that it did not get ``what``, and go on.

    Args:
        what: is told, for the warning.
        call: tells it.
        always: also within the pause after another call in vain, in which nothing else is asked.

    Returns:
        What the call returns; ``None`` where MLflow did not answer or was not asked.
    """
    global _asked_again_at
    if time.monotonic() < _asked_again_at and not always:
        logger.debug("MLflow was not told %s: it has not answered before", what)
        return None
    try:
        answer = call()
    except (MlflowException, SQLAlchemyError, OSError) as error:
        _asked_again_at = time.monotonic() + PAUSE_S
        reason = redacted(str(error)).partition("\n")[0][:_REASON_LENGTH]
        logger.warning(
            "MLflow did not get %s; the work goes on, and MLflow gets nothing for %.0f s. The same command once more "
            "tells it all of what is kept. %s",
            what,
            PAUSE_S,
            reason,
        )
        return None
    ask_again()
    return answer
