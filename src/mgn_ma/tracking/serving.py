"""The ensemble behind MLflow's scoring server: what is wrong with a request becomes a 400 that says so.

Nobody but the server's environment can set anything here: see the variables below.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from mgn_ma.errors import MGNMAError
from mgn_ma.extractors.pretrained import WeightsError
from mgn_ma.files import Folder
from mgn_ma.inference.model import BundleError, Model, ModelPredictor, load_model
from mgn_ma.inference.predictor import TracksMismatchError
from mgn_ma.inference.requests import (
    EXPLAIN,
    RequestError,
    RequestLimits,
    RequestTooLargeError,
    predict_tracks,
    predict_videos,
)
from mgn_ma.inference.videos import ExtractorMismatchError, VideoPredictor, VideoSettings
from mgn_ma.media.fetch import FetchConfig, hosts_of, is_remote

DEVICE_VARIABLE = "MGN_MA_DEVICE"
WEIGHTS_VARIABLE = "MGN_MA_WEIGHTS"
"""A folder in which the extractors' weights are looked for by their file names."""
PLACES_VARIABLE = "MGN_MA_VIDEO_PLACES"
"""Folders and beginnings of URLs, with spaces between them, that videos and captions are read from; none if not set."""
ROWS_VARIABLE = "MGN_MA_MAX_ROWS"
"""The most rows of one request."""
SECONDS_VARIABLE = "MGN_MA_MAX_SECONDS"
"""The most seconds that the videos of one request are long, together."""


class _TooLargeError(MlflowException, MGNMAError):
    """MLflow has no error code that becomes this status."""

    def get_http_status_code(self) -> int:
        return 413


class ServedModel(PythonModel):
    """MLflow's view of a model: rows of tracks or of videos in, a row a frame out."""

    _bundle: Model

    def load_context(self, context: PythonModelContext) -> None:
        """Load the bundle that was logged with this code."""
        self._bundle = load_model(Folder(context.artifacts["bundle"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Answer rows of videos, if there is a column ``video``, else rows of feature tracks.

        Raises:
            MlflowException: with 400 the request is wrong, with 413 it is too large, with 500 this server can't read
                videos; it says why.
        """
        explain = bool((params or {}).get(EXPLAIN))
        try:
            if _has(model_input, "video") and _has(model_input, "modality"):
                raise RequestError("a request has rows of tracks (modality, vector) or of videos (video), not both")
            if _has(model_input, "video"):
                return predict_videos(self._videos, model_input, _places(), _limits(), explain=explain)
            return predict_tracks(self._tracks, model_input, _limits(), explain=explain)
        except RequestTooLargeError as error:
            raise _TooLargeError(str(error), error_code=INVALID_PARAMETER_VALUE) from error
        except (RequestError, TracksMismatchError) as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        except (WeightsError, ExtractorMismatchError, BundleError) as error:
            raise MlflowException(
                f"this server can't read videos, only rows of tracks: {error}", error_code=INTERNAL_ERROR
            ) from error

    @cached_property
    def _tracks(self) -> ModelPredictor:
        return self._bundle.predictor(_device())

    @cached_property
    def _videos(self) -> VideoPredictor:
        places = tuple(filter(is_remote, _places()))
        settings = VideoSettings(
            device=_device(),
            weights=os.environ.get(WEIGHTS_VARIABLE),
            max_seconds=_limits().max_seconds,
            fetch=FetchConfig(places=places, private_hosts=hosts_of(places)),
        )
        return VideoPredictor(self._bundle, settings)


def _device() -> str:
    return os.environ.get(DEVICE_VARIABLE, "auto")


def _places() -> list[str]:
    return os.environ.get(PLACES_VARIABLE, "").split()


def _limits() -> RequestLimits:
    given = {"max_rows": os.environ.get(ROWS_VARIABLE), "max_seconds": os.environ.get(SECONDS_VARIABLE)}
    return RequestLimits.model_validate({name: value for name, value in given.items() if value})


def _has(rows: pd.DataFrame, column: str) -> bool:
    return column in rows and not bool(rows[column].isna().all())
