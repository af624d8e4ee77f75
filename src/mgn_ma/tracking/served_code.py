"""The code that MLflow keeps beside the weights and runs when it loads the model; all of it is in the package."""

from mlflow.models import set_model

from mgn_ma.tracking.serving import ServedModel

set_model(ServedModel())
