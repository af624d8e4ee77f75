"""The registry: what a version holds, that it loads by every name, and what is said when there is none."""

import json
import socket
from pathlib import Path

import pytest
import yaml
from tiny_ensemble import bundle

from mgn_ma.eev.targets import EEV
from mgn_ma.files import Folder
from mgn_ma.inference.bundle import BundleError, save_bundle
from mgn_ma.tracking.registry import ModelRegistry
from mgn_ma.tracking.server import TrackingUnavailableError
from mgn_ma.tracking.versions import CHALLENGER, CHAMPION, RegistryError


def folder_of(registry, version):
    location = registry.client.get_model_version_download_uri(version.name, str(version.number))
    return Path(location.removeprefix("file://"))


def test_a_registered_ensemble_is_the_challenger_and_says_what_it_is(registry):
    version = registry.register(bundle())
    assert (version.number, version.run_id) == (1, registry.run_id)
    found = registry.client.get_model_version("mgn-ma", "1")
    assert found.aliases == [CHALLENGER]
    assert found.description == (
        "2 members, combined by greedy, reading image, audio, subtitle, video. Validation correlation 0.5000 (interval "
        "0.4000 to 0.6000, 6 videos)."
    )
    tags = found.tags
    assert tags["validation_score"] == "0.5000"
    assert tags["validation_interval"] == "0.4000 to 0.6000"
    assert tags["data_fingerprint"] == "d" * 64
    assert tags["expressions"] == ", ".join(EEV.names)
    assert tags["extractor.image"].startswith("image_descriptor ")
    assert tags["code.git_commit"] == "0123abcd"
    assert {"code.mgn_ma", "extractor.audio", "extractor.subtitle", "extractor.title"} <= tags.keys()
    (output,) = registry.client.get_run(registry.run_id).outputs.model_outputs
    assert registry.client.get_logged_model(output.model_id).status == "READY"


def test_a_registered_ensemble_is_found_by_its_scores(registry):
    registry.register(bundle())
    experiment = registry.client.get_run(registry.run_id).info.experiment_id
    (model,) = registry.client.search_logged_models([experiment], "metrics.validation_score > 0.4")
    assert [(metric.key, metric.value, metric.run_id) for metric in model.metrics] == [
        ("validation_score", 0.5, registry.run_id)
    ]
    assert registry.client.search_logged_models([experiment], "metrics.validation_score > 0.6") == []


def test_a_version_that_mlflow_copies_to_another_model_is_the_same_ensemble(registry):
    version = registry.register(bundle())
    copied = registry.client.copy_model_version(version.uri, "mgn-ma-production")
    registry.client.set_registered_model_alias("mgn-ma-production", CHAMPION, copied.version)
    for uri in ("models:/mgn-ma-production/1", "models:/mgn-ma-production@champion"):
        assert registry.named_bundle(uri)[0].digest() == bundle().digest()
    assert copied.tags == registry.client.get_model_version("mgn-ma", "1").tags
    assert registry.holder(CHAMPION) is None


def test_the_same_ensemble_is_no_second_version(registry):
    first, other = registry.register(bundle()), registry.register(bundle(noise=0.1))
    again = registry.register(bundle())
    assert [first.number, other.number, again.number] == [1, 2, 1]
    assert registry.holder(CHALLENGER).number == 1
    assert len(registry.client.search_model_versions("name = 'mgn-ma'")) == 2


def test_a_version_is_code_and_safetensors_and_names_this_package_alone(registry):
    folder = folder_of(registry, registry.register(bundle()))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"served_code.py", "MLmodel", "artifacts/bundle/bundle.json"} < files
    assert {Path(name).suffix for name in files} <= {".py", ".json", ".safetensors", ".txt", ".yaml", ""}
    requirements = (folder / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in requirements} == {"mlflow", "mgn_ma"}
    described = (folder / "MLmodel").read_text()
    assert str(Path(__file__).parents[2]) not in described
    assert "/tmp" not in described
    columns = [column["name"] for column in json.loads(yaml.safe_load(described)["signature"]["inputs"])]
    assert columns == ["video_id", "modality", "timestamp_us", "end_us", "vector", "video", "captions", "title"]
    stored = json.loads((folder / "artifacts/bundle/bundle.json").read_text())
    assert stored["code_version"]["git_commit"] == "0123abcd"


def test_an_ensemble_loads_by_every_name_it_has(registry, tmp_path):
    version = registry.register(bundle())
    registry.client.set_registered_model_alias("mgn-ma", CHAMPION, "1")
    folder = folder_of(registry, version)
    save_bundle(bundle(), Folder(tmp_path / "local"))
    uris = (
        "models:/mgn-ma@champion",
        "models:/mgn-ma/1",
        version.uri,
        f"runs:/{registry.run_id}/mgn-ma",
        str(folder),
        f"{folder}/artifacts/bundle",
        f"{tmp_path}/local/",
    )
    assert {registry.bundle(uri).digest() for uri in uris} == {bundle().digest()}


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (
            "models:/mgn-ma@champion",
            r"no version of mgn-ma is the champion: .*--pipelines registration,promotion`",
        ),
        ("models:/mgn-ma@other", "no version of mgn-ma is the other: "),
        ("models:/mgn-ma/7", "mgn-ma has no version 7, it has 1, 2"),
        ("models:/mgn_ma/1", "there is no registered model mgn_ma: train and register one with `kedro run`"),
        ("models:/mgn-ma", "'models:/mgn-ma' names no model: write models:/mgn-ma@champion, models:/mgn-ma/3"),
        ("runs:/0123/mgn-ma", "there is no run 0123 that"),
        ("runs:/", "names no model"),
    ],
)
def test_what_is_not_there_is_said_with_the_way_to_it(registry, uri, message):
    registry.register(bundle())
    registry.register(bundle(noise=0.1))
    with pytest.raises(RegistryError, match=message):
        registry.bundle(uri)


def test_a_run_names_the_models_that_it_has(registry):
    with pytest.raises(RegistryError, match=f"run {registry.run_id} has logged no model other; its models: none"):
        registry.bundle(f"runs:/{registry.run_id}/other")


def test_artifacts_that_are_gone_are_an_error_that_names_them(registry):
    folder = folder_of(registry, registry.register(bundle()))
    (folder / "artifacts/bundle/bundle.json").unlink()
    with pytest.raises(BundleError, match=r"there is no bundle\.json"):
        registry.bundle("models:/mgn-ma/1")


def test_a_registry_that_nobody_has_made_is_not_made_by_looking(tmp_path):
    registry = ModelRegistry(f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(RegistryError, match="there is no MLflow at sqlite"):
        registry.bundle("models:/mgn-ma@champion")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_down_is_said_within_seconds():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(TrackingUnavailableError, match="MLflow can't be used at"):
        ModelRegistry(uri).bundle("models:/mgn-ma@champion")


def test_without_a_run_nothing_is_registered(registry):
    with pytest.raises(RegistryError, match="tracking is switched off"):
        ModelRegistry(registry.tracking_uri).register(bundle())
    assert registry.client.search_registered_models() == []


def test_a_model_that_could_not_be_written_whole_is_marked(registry, monkeypatch):
    monkeypatch.setattr("mgn_ma.tracking.logged_model.write_model", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        registry.register(bundle())
    experiment = registry.client.get_run(registry.run_id).info.experiment_id
    (model,) = registry.client.search_logged_models([experiment])
    assert model.status == "FAILED"
    assert registry.client.search_registered_models() == []
