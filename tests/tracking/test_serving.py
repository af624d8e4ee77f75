"""The served model: MLflow's own server, started as a user starts it, asked over HTTP."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import example_model
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModelContext
from mlflow.tracking import MlflowClient

from mgn_ma.eev.targets import EEV
from mgn_ma.files import Folder
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.inference.bundle import Bundle, save_bundle
from mgn_ma.inference.predictor import Predictor
from mgn_ma.inference.videos import VideoInput, VideoPredictor
from mgn_ma.tracking.registry import ModelRegistry
from mgn_ma.tracking.serving import ServedModel
from mgn_ma.tracking.versions import CHAMPION


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_server_that_can_t_read_videos_still_reads_tracks(bundle, tmp_path):
    image = bundle.description.extractors["image"].model_copy(
        update={"settings": {"name": "image_descriptor", "size": 32}}
    )
    extractors = bundle.description.extractors | {"image": image}
    other = Bundle(
        bundle.description.model_copy(update={"extractors": extractors}), bundle.members, bundle.video_network
    )
    save_bundle(other, Folder(tmp_path))
    model = ServedModel()
    context = PythonModelContext({"bundle": str(tmp_path)}, None)
    model.load_context(context)
    with pytest.raises(
        MlflowException, match="this server can't read videos, only rows of tracks: image: the model"
    ) as no:
        model.predict(context, pd.DataFrame({"video": ["a.mp4"]}))
    assert no.value.get_http_status_code() == 500
    width = bundle.members["member_1"].inputs["audio"].width
    rows = {"modality": ["audio"], "timestamp_us": [0], "end_us": [960_000], "vector": [[0.5] * width]}
    assert len(model.predict(context, pd.DataFrame(rows))) == 6


@contextmanager
def served(folder, database, model, name, places):
    """The address of `mlflow models serve`, of one version of that name, started in a folder that is no project."""
    shutil.copy(database, folder / "mlflow.db")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(uri)
    run = client.create_run(client.create_experiment("mgn_ma", artifact_location=str(folder / "mlartifacts")))
    ModelRegistry(uri, name=name, run_id=run.info.run_id).register(model)
    client.set_registered_model_alias(name, CHAMPION, "1")
    port = unused_port()
    command = ["models", "serve", "-m", f"models:/{name}@champion", "--env-manager", "local", "-p", str(port)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": uri,
        "MGN_MA_VIDEO_PLACES": places,
        "MGN_MA_MAX_SECONDS": "3600",
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    try:
        while not answers(address):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def server(bundle, empty_database, films, tmp_path_factory):
    """The address of the champion's server, and a folder of videos that it may read."""
    folder = tmp_path_factory.mktemp("served")
    videos = folder / "videos"
    videos.mkdir()
    (videos / "no-film.mp4").write_bytes(b"nothing")
    with served(folder, empty_database, bundle, "mgn-ma", f"{films} {videos}") as address:
        yield address, videos


def answers(address):
    try:
        return urllib.request.urlopen(f"{address}/ping", timeout=5).status == 200
    except OSError:
        return False


def ask(server, body):
    """Status and answer."""
    address, _ = server
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{address}/invocations", content, headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(scope="module")
def film(films):
    path = min(films.glob("*.mp4"))
    return VideoInput(path.stem, str(path), str(path.with_suffix(".en.vtt")), "A title")


def columns(answer, names):
    return np.array([[row[name] for name in names] for row in answer["predictions"]])


@pytest.mark.slow
def test_rows_of_tracks_give_the_predictor_s_numbers(server, bundle, film):
    tracks = example_model.tracks_by_hand(bundle, film)
    records = []
    for modality, rows in tracks.items():
        for start, end, vector in zip(rows.timestamps_us, rows.ends_us, rows.vectors, strict=True):
            record = {"video_id": film.video_id, "modality": modality, "vector": vector.tolist()}
            if modality != "title":
                record |= {"timestamp_us": int(start), "end_us": int(end)}
            records.append(record)
    status, answer = ask(server, {"dataframe_records": records})
    assert status == 200, answer
    times = columns(answer, ["timestamp_us"])[:, 0]
    expected = Predictor(bundle).predict(film.video_id, tracks, times)
    np.testing.assert_allclose(columns(answer, EEV.names), expected.values, atol=1e-5)
    np.testing.assert_array_equal(times[:3], [0, 166_666, 333_333])
    # With the contributions, which the curves are the sums of.
    status, explained = ask(server, {"dataframe_records": records, "params": {"explain": True}})
    assert status == 200, explained
    of_awe = columns(explained, [f"contribution_{name}_awe" for name in bundle.modalities]).sum(axis=1)
    awe = columns(answer, ["awe"])[:, 0]
    np.testing.assert_allclose(of_awe, awe - awe.mean(), atol=1e-5)
    # The same as a table: MLflow's other spelling.
    names = ["video_id", "modality", "timestamp_us", "end_us", "vector"]
    table = {"columns": names, "data": [[record.get(name) for name in names] for record in records]}
    assert ask(server, {"dataframe_split": table}) == (200, answer)


@pytest.mark.slow
def test_a_video_gives_the_numbers_of_its_prediction(server, bundle, film):
    record = {"video": film.path, "captions": film.captions, "title": film.title, "video_id": film.video_id}
    status, answer = ask(server, {"dataframe_records": [record]})
    assert status == 200, answer
    (outcome,) = VideoPredictor(bundle).predict([film])
    np.testing.assert_allclose(columns(answer, EEV.names), outcome.prediction.values, atol=1e-5)
    shares = columns(answer, [f"attention_{name}" for name in bundle.modalities])
    np.testing.assert_allclose(shares, outcome.prediction.attention, atol=1e-5)
    np.testing.assert_array_equal(
        columns(answer, ["timestamp_us"])[:, 0], grid_timestamps_us(outcome.source.duration_us)
    )
    assert {row["video_id"] for row in answer["predictions"]} == {film.video_id}
    # Captions and a title are optional, and change what is said.
    status, without = ask(server, {"dataframe_records": [{"video": film.path}]})
    assert status == 200
    assert np.abs(columns(without, EEV.names) - columns(answer, EEV.names)).max() > 1e-4


@pytest.mark.slow
def test_similarity_to_words_reads_videos_as_a_trained_model_does(zero_shot, empty_database, films, film, tmp_path):
    with served(tmp_path, empty_database, zero_shot, "mgn-ma-zero-shot", str(films)) as address:
        status, answer = ask((address, films), {"dataframe_records": [{"video": film.path}]})
    assert status == 200, answer
    (outcome,) = VideoPredictor(zero_shot).predict([film])
    np.testing.assert_allclose(columns(answer, EEV.names), outcome.prediction.values, atol=1e-5)
    assert columns(answer, ["awe"]).std() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "valid JSON"),
        ({}, "dataframe_split"),
        ({"dataframe_records": []}, "the request has no rows"),
        ({"dataframe_records": [{"sound": 1}]}, "no rows with a known column: it takes rows of tracks (video_id, mod"),
        ({"dataframe_records": [{"modality": "smell", "vector": [1]}]}, "there is no modality 'smell'"),
        ({"dataframe_records": [{"modality": "image", "vector": "x"}]}, "row 0: vector has to be a list of numbers"),
        (
            {"dataframe_records": [{"modality": "image", "timestamp_us": 0, "end_us": 9, "vector": [1, 2]}]},
            "the image track has vectors of 2, the model was trained on",
        ),
        ({"dataframe_records": [{"video": "x.mp4", "modality": "image", "vector": [1]}]}, "not both"),
        ({"dataframe_records": [{"video": 5}]}, "row 0: video has to be text, not 5"),
        ({"dataframe_records": [{"video": "/etc/passwd"}]}, "/etc/passwd is in no place that this server reads from"),
        ({"dataframe_records": [{"video": "http://127.0.0.1/a.mp4"}]}, "in no place that this server reads from"),
        ({"dataframe_records": [{"modality": "image"}]}, "the column 'vector' is missing: it takes rows of tracks"),
        ({"inputs": {"modality": ["image"], "vector": [None]}}, "row 0 has no vector"),
        ({"inputs": [1, 2]}, "no rows with a known column"),
    ],
)
def test_a_malformed_request_is_a_400_with_the_reason(server, body, message):
    status, answer = ask(server, body)
    assert status == 400, answer
    assert message in answer
    assert "Traceback" not in answer


@pytest.mark.slow
@pytest.mark.parametrize("name", ["no-film.mp4", "gone.mp4"])
def test_a_video_that_can_t_be_read_is_a_400_that_names_it(server, film, name):
    _, folder = server
    status, answer = ask(server, {"dataframe_records": [{"video": film.path}, {"video": str(folder / name)}]})
    assert status == 400
    assert f"row 1: {folder / name} can't be predicted: " in answer


@pytest.mark.slow
def test_a_request_that_is_too_large_is_a_413(server):
    row = {"modality": "image", "timestamp_us": 0, "end_us": 3_601_000_000, "vector": [1]}
    status, answer = ask(server, {"dataframe_records": [row]})
    assert status == 413, answer
    assert "3601 s long together, and this server takes 3600 s" in answer
    assert "Traceback" not in answer


def test_a_server_that_is_told_no_places_reads_no_video(bundle, film, tmp_path, monkeypatch):
    monkeypatch.delenv("MGN_MA_VIDEO_PLACES", raising=False)
    save_bundle(bundle, Folder(tmp_path))
    model, context = ServedModel(), PythonModelContext({"bundle": str(tmp_path)}, None)
    model.load_context(context)
    with pytest.raises(MlflowException, match="is in no place that this server reads from") as no:
        model.predict(context, pd.DataFrame({"video": [film.path]}))
    assert no.value.get_http_status_code() == 400
