"""The code that MLflow keeps beside the weights and runs when it loads the model; all of it is in the package."""

from mgn_ma.telemetry import disable_telemetry

disable_telemetry()

from mlflow.models import set_model  # noqa: E402

from mgn_ma.tracking.serving import ServedModel  # noqa: E402

set_model(ServedModel())
