"""An ensemble as an MLflow model: code by name, weights as safetensors, nothing pickled, no path of this machine.

MLflow's ``log_model`` would log into the run that happens to be active, and keep the path of the code's file; so the
same steps are taken one by one.
"""

from __future__ import annotations

import time
from pathlib import Path

import mlflow.pyfunc
from mlflow.entities import LoggedModel, LoggedModelOutput, Metric, Run
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from mgn_ma import __version__
from mgn_ma.files import Folder
from mgn_ma.inference.model import Model as AnyModel
from mgn_ma.temporary import temporary_folder
from mgn_ma.tracking.signature import input_example, signature
from mgn_ma.tracking.version_tags import scores_of

_CODE = Path(__file__).with_name("served_code.py")


def log_bundle(client: MlflowClient, run: Run, name: str, bundle: AnyModel) -> LoggedModel:
    """Log a bundle as the model ``name`` of a run; a model that is not whole in the end is marked FAILED."""
    run_id = run.info.run_id
    model = client.create_logged_model(run.info.experiment_id, name=name, source_run_id=run_id, model_type="ensemble")
    try:
        with temporary_folder("model") as folder:
            described = Model(artifact_path=name, run_id=run_id, model_id=model.model_id)
            write_model(bundle, folder / "model", described)
            client.log_model_artifacts(model.model_id, str(folder / "model"))
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        now = int(time.time() * 1000)
        scores = scores_of(bundle).items()
        client.log_batch(
            run_id, [Metric(key, score, now, 0, model_id=model.model_id, run_id=run_id) for key, score in scores]
        )
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise
    return client.finalize_logged_model(model.model_id, "READY")


def write_model(bundle: AnyModel, path: Path, described: Model | None = None) -> None:
    """Write the folder of an MLflow pyfunc, from code, that serves a bundle."""
    described = described or Model()
    with temporary_folder("bundle") as folder:
        bundle.save(Folder(folder / "bundle"))
        mlflow.pyfunc.save_model(
            path,
            mlflow_model=described,
            python_model=_CODE,
            artifacts={"bundle": str(folder / "bundle")},
            signature=signature(bundle),
            input_example=input_example(bundle),
            pip_requirements=[f"mgn_ma=={__version__}"],
        )
    flavor = described.flavors[mlflow.pyfunc.FLAVOR_NAME]
    flavor["model_code_path"] = _CODE.name
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]
    described.save(str(path / "MLmodel"))
