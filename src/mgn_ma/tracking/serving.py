"""The ensemble behind MLflow's scoring server: what is wrong with a request becomes a 400 that says so."""

from __future__ import annotations

from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from mgn_ma.inference.bundle import load_bundle
from mgn_ma.inference.predictor import Predictor, TracksMismatchError
from mgn_ma.inference.requests import RequestError, predict_tracks
from mgn_ma.training.files import Folder


class ServedModel(PythonModel):
    """MLflow's view of an ensemble: rows in, a row a frame out."""

    _predictor: Predictor

    def load_context(self, context: PythonModelContext) -> None:
        """Load the bundle that was logged with this code."""
        self._predictor = Predictor(load_bundle(Folder(context.artifacts["bundle"])))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Answer rows of feature tracks.

        Raises:
            MlflowException: the request is wrong; the server answers 400 with the message.
        """
        try:
            return predict_tracks(self._predictor, model_input)
        except (RequestError, TracksMismatchError) as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
