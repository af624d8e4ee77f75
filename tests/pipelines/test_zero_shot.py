"""The pipeline that registers similarity to words, and the version: its name, its tags, and that it is served."""

import json

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import load_model

from mgn_ma.inference.zero_shot.config import ZeroShotSettings
from mgn_ma.inference.zero_shot.model import CAUTION, ZeroShot
from mgn_ma.pipelines.zero_shot import create_pipeline
from mgn_ma.tracking.registry import ModelRegistry
from mgn_ma.tracking.versions import CHALLENGER, CHAMPION


@pytest.fixture
def beside(registry):
    """The registered model of that name, in the run that goes on."""
    return ModelRegistry(registry.tracking_uri, name="mgn-ma-zero-shot", run_id=registry.run_id)


def test_the_pipeline_makes_what_the_parameters_say(prompts_file, zero_shot):
    settings = ZeroShotSettings(prompts=str(prompts_file))
    catalog = DataCatalog({"params:zero_shot": MemoryDataset(settings), "zero_shot_model": MemoryDataset()})
    SequentialRunner().run(create_pipeline(), catalog)
    assert catalog["zero_shot_model"].load().digest() == zero_shot.digest()


def test_it_is_registered_once_under_a_name_of_its_own_and_says_what_it_is(registry, beside, zero_shot, bundle):
    registry.register(bundle)
    version = beside.register(zero_shot)
    assert beside.register(zero_shot).number == version.number == 1
    found = beside.client.get_model_version("mgn-ma-zero-shot", "1")
    assert found.aliases == [CHALLENGER]
    assert found.description == f"Similarity to words, reading image, audio; {CAUTION}."
    assert found.tags["caution"] == CAUTION
    assert found.tags["method"] == "similarity to words"
    assert "validation_score" not in found.tags
    assert CAUTION in beside.client.get_registered_model("mgn-ma-zero-shot").description
    assert registry.holder(CHALLENGER).tags["bundle_digest"] == bundle.digest()
    assert registry.holder(CHAMPION) is None
    model, name = registry.named_bundle("models:/mgn-ma-zero-shot@challenger")
    assert isinstance(model, ZeroShot)
    assert model.digest() == zero_shot.digest()
    assert model.description.code_version["git_commit"] == "0123abcd"
    assert name == "mgn-ma-zero-shot@challenger"


def test_it_is_served_as_a_trained_one_is(beside, zero_shot, monkeypatch):
    version = beside.register(zero_shot)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", beside.tracking_uri)
    location = beside.client.get_model_version_download_uri(version.name, str(version.number))
    served = load_model(location)
    random = np.random.default_rng(0)
    rows = [
        ("v", modality, second * 1_000_000, (second + 1) * 1_000_000, random.normal(size=width).tolist())
        for modality, width in zero_shot.widths.items()
        for second in range(3)
    ]
    request = pd.DataFrame(rows, columns=["video_id", "modality", "timestamp_us", "end_us", "vector"])
    answer = served.predict(request, params={"explain": True})
    assert len(answer) == 18
    awe = answer["awe"] - answer["awe"].mean()
    assert awe.abs().max() > 0.01
    parts = answer[["contribution_image_awe", "contribution_audio_awe"]].sum(axis=1)
    np.testing.assert_allclose(parts, awe, atol=1e-6)
    assert (answer[["attention_image", "attention_audio"]] == 0.5).all(axis=None)
    with pytest.raises(MlflowException, match="there is no modality 'subtitle': the model reads image, audio"):
        served.predict(request.assign(modality="subtitle"))


def test_the_signature_has_its_modalities_alone(beside, zero_shot):
    version = beside.register(zero_shot)
    location = beside.client.get_model_version_download_uri(version.name, str(version.number))
    columns = [column["name"] for column in json.loads(load_model(location).metadata.signature.to_dict()["outputs"])]
    assert [name for name in columns if name.startswith("attention_")] == ["attention_image", "attention_audio"]
