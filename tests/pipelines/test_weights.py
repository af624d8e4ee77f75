"""The pipeline that lists, fetches and checks pretrained weights."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from tiny_whisper import save_tiny_whisper

from mgn_ma.extractors.pretrained import WeightsError
from mgn_ma.extractors.vggish.network import VGGish
from mgn_ma.features.settings import Modalities
from mgn_ma.pipelines.weights import create_pipeline
from mgn_ma.pipelines.weights.nodes import WeightsSettings
from mgn_ma.transcription.config import TranscriptionConfig

MODALITIES = {
    "image": {"extractor": "image_descriptor", "tolerance_us": 0},
    "audio": {"extractor": "vggish", "tolerance_us": 0},
    "subtitle": {"extractor": "bert", "tolerance_us": 0},
    "title": {"extractor": "bert", "tolerance_us": 0},
}


Run = Callable[..., tuple[pd.DataFrame, Exception | None]]
PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the web has: a network of the right layout."""
    path = tmp_path_factory.mktemp("web") / "vggish.pth"
    torch.save(VGGish(final_relu=True).state_dict(), path)
    return path


def with_settings(modalities: dict[str, Any], extractors: dict[str, Any]) -> Modalities:
    """Each modality with the settings of its extractor."""
    settings = {
        name: {entry["extractor"]: extractors.get(entry["extractor"], {})} for name, entry in modalities.items()
    }
    return Modalities.model_validate(
        {name: {**entry, "settings": settings[name]} for name, entry in modalities.items()}
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the pipeline; gives the account, as it was saved, and what the run failed with after that."""

    def run_it(
        extractors: dict[str, Any],
        modalities: dict[str, Any] = MODALITIES,
        transcription: TranscriptionConfig | None = None,
        **settings: Any,
    ) -> tuple[pd.DataFrame, Exception | None]:
        entry = yaml.safe_load((PROJECT / "conf/base/weights/catalog.yml").read_text())["weights_account"]
        entry["filepath"] = str(tmp_path / "account.csv")
        catalog = DataCatalog.from_config({"weights_account": entry})
        catalog["params:modalities"] = MemoryDataset(with_settings(modalities, extractors))
        catalog["params:transcription"] = MemoryDataset(transcription or TranscriptionConfig())
        catalog["params:weights"] = MemoryDataset(WeightsSettings(**settings))
        error: Exception | None = None
        try:
            SequentialRunner().run(create_pipeline(), catalog)
        except WeightsError as raised:
            error = raised
        return catalog.load("weights_account"), error

    return run_it


def table(pretrained: Any) -> dict[str, Any]:
    return {"vggish": {"pretrained": pretrained}, "bert": {"pretrained": "random:0"}}


def test_a_listing_says_what_is_needed_and_fails_for_nothing(run: Run, tmp_path: Path) -> None:
    account, error = run(table(str(tmp_path / "absent.pth")))
    assert error is None
    assert account["network"].tolist() == ["vggish", "bert"]
    assert account["modalities"].tolist() == ["audio", "subtitle title"]
    vggish, bert = account.to_dict("records")
    assert (vggish["sha256"], vggish["megabytes"], vggish["place"]) == ("", 288, str(tmp_path / "absent.pth"))
    assert "absent.pth" in vggish["state"]
    assert "weights.fetch=true" in vggish["state"]
    assert (bert["state"], bert["place"], bert["sha256"]) == ("needs no file", "random (seed 0)", "")


def test_whisper_is_listed_where_transcription_names_one(run: Run, tmp_path: Path) -> None:
    whisper = save_tiny_whisper(tmp_path / "whisper")
    for pretrained, state in ((str(whisper), "ready"), (str(tmp_path / "absent"), "no file model.safetensors")):
        account, error = run(table("random:0"), transcription=TranscriptionConfig(pretrained=pretrained))
        row = account.to_dict("records")[-1]
        assert (row["network"], row["modalities"], row["place"], error) == (
            "whisper",
            "transcription",
            pretrained,
            None,
        )
        assert row["state"].startswith(state)


def test_what_is_absent_is_fetched_and_not_fetched_again(run: Run, published: Path, tmp_path: Path) -> None:
    serve = partial(SimpleHTTPRequestHandler, directory=str(published.parent))
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), serve)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    pretrained = {"path": str(tmp_path / "w.pth"), "url": f"http://127.0.0.1:{httpd.server_port}/vggish.pth"}
    account, error = run(table(pretrained), fetch=True)
    httpd.shutdown()
    httpd.server_close()
    assert error is None
    assert account["state"].tolist() == ["ready", "needs no file"]
    assert account.iloc[0]["sha256"] == hashlib.sha256(published.read_bytes()).hexdigest()
    # The server is gone: a second run has nothing to ask it.
    assert run(table(pretrained), fetch=True)[1] is None


def test_a_fetch_that_fails_is_accounted_first_and_then_fails_the_run(run: Run, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:1/w.pth"
    account, error = run(table({"path": str(tmp_path / "w.pth"), "url": nowhere}), fetch=True)
    assert nowhere in account.iloc[0]["state"]
    assert nowhere in str(error)


def test_a_file_that_is_not_the_configured_one_is_found_out(run: Run, published: Path) -> None:
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    account, error = run(table({"path": str(published), "sha256": digest}))
    assert (account.iloc[0]["state"], error) == ("ready", None)
    account, error = run(table({"path": str(published), "sha256": "0" * 64}), fetch=True)
    assert digest in account.iloc[0]["state"]
    assert isinstance(error, WeightsError)


def test_a_file_of_another_network_is_found_out(run: Run, tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    account, error = run(table(str(tmp_path / "other.pth")), fetch=True)
    assert "unexpected conv.weight" in account.iloc[0]["state"]
    assert isinstance(error, WeightsError)


def test_descriptors_need_nothing(run: Run) -> None:
    account, error = run({}, {"image": MODALITIES["image"]}, fetch=True)
    assert error is None
    assert account.empty
