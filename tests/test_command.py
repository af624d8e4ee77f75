"""The command as a user calls it, outside of any project, with a bundle's folder."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys

import pandas as pd
import pytest
from recut import recut

from mgn_ma.command import main

CALL = [sys.executable, "-c", "from mgn_ma.command import main; main()"]

KILLED = """
import os, signal
from mgn_ma.inference.videos import VideoPredictor

predict = VideoPredictor.predict

def first_only(*arguments, **how):
    yield next(predict(*arguments, **how))
    os.kill(os.getpid(), signal.SIGKILL)

VideoPredictor.predict = first_only
from mgn_ma.command import main
main()
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working directory in no project, and no MLflow set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield tmp_path
    logging.getLogger("mgn_ma").setLevel(logging.NOTSET)


def call(*arguments):
    """The exit status."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return left.value.code


@pytest.mark.slow
def test_a_process_of_its_own_predicts_and_makes_a_page(bundle_folder, films, elsewhere):
    shutil.copy(next(films.glob("*.mp4")), elsewhere / "-a 'film'.mp4")
    (elsewhere / "said.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:09.000\nhello <b>you</b>\n")
    texts = ["--title", "A <i>title</i>", "--captions", "said.vtt"]
    done = subprocess.run(
        [*CALL, "predict", "-o", "out", "--model", bundle_folder, *texts, "--", "-a 'film'.mp4"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("-a 'film': 4.")
    (page,) = (elsewhere / "out" / "pages").glob("*.html")
    assert "A &lt;i&gt;title&lt;/i&gt;" in page.read_text()
    assert "hello you" in page.read_text()
    assert len(pd.read_parquet(elsewhere / "out" / "curves.parquet")) >= 24


def test_a_call_that_is_killed_keeps_the_results_of_the_videos_that_were_done(bundle_folder, films, elsewhere):
    first, second = sorted(films.glob("*.mp4"))[:2]
    arguments = ["predict", first, second, "-o", "out", "--model", bundle_folder, "--no-page"]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list(pd.read_parquet(elsewhere / "out/curves.parquet")["video_id"].unique()) == [first.stem]
    assert list(pd.read_csv(elsewhere / "out/account.csv")["status"]) == ["predicted"]
    assert call(*arguments) == 0
    assert list(pd.read_parquet(elsewhere / "out/curves.parquet")["video_id"].unique()) == [first.stem, second.stem]
    assert list(pd.read_csv(elsewhere / "out/account.csv")["status"]) == ["predicted"] * 2


def test_a_terminal_that_can_not_show_a_name_fails_nothing_and_a_title_that_can_not_be_read_is_noted(
    bundle_folder, films, elsewhere
):
    shutil.copy(next(films.glob("*.mp4")), elsewhere / "日本語.mp4")
    (elsewhere / "日本語.info.json").write_text("{")
    done = subprocess.run(
        [*CALL, "predict", "-o", "out", "--model", bundle_folder, "日本語.mp4", "無い.mp4"],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
        timeout=300,
    )
    assert done.returncode == 1  # for the second one
    assert rb"\u65e5\u672c\u8a9e: 4." in done.stdout, done.stderr
    assert rb"\u7121\u3044 is not predicted" in done.stderr and b"Traceback" not in done.stderr
    account = pd.read_csv(elsewhere / "out" / "account.csv")
    assert list(account["video_id"]) == ["日本語", "無い"]
    assert account["reason"][0].startswith("without title: ./日本語.info.json: is no JSON")


def test_what_can_be_predicted_is_and_the_rest_fails_the_command(bundle_folder, films, elsewhere, capsys):
    film = next(films.glob("*.mp4"))
    left = elsewhere / "out" / "pages" / f".film.mp4.{'0' * 32}.tmp"  # by a killed process
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    assert call("predict", film, "gone.mp4", "-o", "out", "--model", bundle_folder, "--no-page") == 1
    said = capsys.readouterr()
    assert f"{film.stem}: 4." in said.out
    assert "1 of 2 videos could not be predicted" in said.err
    account = pd.read_csv(elsewhere / "out" / "account.csv")
    assert list(account["status"]) == ["predicted", "failed"]
    assert list((elsewhere / "out" / "pages").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.mp4", "-o", "out"], "is in an MLflow, and none is named: give --tracking-uri"),
        (["x.mp4", "-o", "out", "--tracking-uri", "sqlite:///no.db"], "there is no MLflow at sqlite:///"),
        (["x.mp4", "-o", "out", "--model", "nowhere"], "there is no bundle.json in nowhere"),
        (["*.mp4", "-o", "out"], "*.mp4: there is no video in it"),
        (["x.mp4", "-o", "/dev/null/out"], "/dev/null/out: can't be written to"),
        (["x.mp4", "--captions", "no.vtt", "-o", "out"], "--captions no.vtt: no such file"),
        (["x.mp4", "y.mp4", "--title", "one", "-o", "out"], "--captions and --title are of one video, and there are 2"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(elsewhere, capsys, arguments, message):
    assert call("predict", *arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: ")
    assert message in said
    assert not list(elsewhere.glob("*.db")), "an MLflow that is not there was made"


def test_two_cuts_are_compared_and_their_passages_told(bundle_folder, films, elsewhere, capsys):
    film = min(films.glob("*.mp4"))
    recut(elsewhere / "cut.mp4", [(film, 1.0, 99)])
    assert call("compare", film, "cut.mp4", "-o", "out", "--model", bundle_folder) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "only in A: 0:00.00 to 0:01.00"
    assert said[1].startswith("both: A 0:01.00 to ")
    assert said[2:] == ["Results: out/comparison.html"]
    found = {path.name for path in (elsewhere / "out").iterdir() if not path.name.startswith(".")}
    assert found == {"comparison.html", "comparison.json", "differences.csv"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.mp4", "-o", "out", "--model", "m"], "there are 1 videos and 1 models"),
        (["x.mp4", "x.mp4", "-o", "out"], "there are 1 videos and 1 models"),
        (["x.mp4", "y.mp4", "z.mp4", "-o", "out"], "there are 3 videos and 1 models"),
        (["x.mp4", "y.mp4", "-o", "out", "--model", "m", "--model", "n"], "there are 2 videos and 2 models"),
        (["x.mp4", "y.mp4", "-o", "/dev/null/out"], "/dev/null/out: can't be written to"),
        (["x.mp4", "y.mp4", "-o", "out", "--model", "nowhere"], "there is no bundle.json in nowhere"),
    ],
)
def test_what_can_not_be_compared_is_said_in_one_line(elsewhere, capsys, arguments, message):
    assert call("compare", *arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: ") and said.count("\n") == 1
    assert message in said


@pytest.mark.slow
def test_similarity_to_words_needs_no_project_and_says_what_it_is(prompts_file, films, elsewhere, capsys):
    film = min(films.glob("*.mp4"))
    assert call("predict", film, "-o", "out", "--model", "zero-shot", "--prompts", prompts_file) == 0
    assert f"{film.stem}: 4." in capsys.readouterr().out
    caution = "not validated: similarity to words, not viewers&#39; faces"
    page = (elsewhere / "out" / "pages" / f"{film.stem}.html").read_text()
    assert f'<p class="caution">{caution}</p>' in page
    moments = json.loads((elsewhere / "out" / "moments.json").read_text())
    assert moments["model"].startswith("zero-shot (")
    assert moments["caution"] == "not validated: similarity to words, not viewers' faces"
    contributions = pd.read_parquet(elsewhere / "out" / "contributions.parquet")
    awe = pd.read_parquet(elsewhere / "out" / "curves.parquet")["awe"]
    parts = contributions[["contribution_image_awe", "contribution_audio_awe"]]
    assert (parts.abs().max() > 0).all()
    assert parts.sum(axis=1).tolist() == pytest.approx((awe - awe.mean()).tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompts", "p.yml"], "--prompts and --fetch-weights are of --model zero-shot, and the model is models:/"),
        (["--model", "m", "--fetch-weights"], "are of --model zero-shot, and the model is m"),
        (["--model", "zero-shot", "--prompts", "no.yml"], "no.yml: can't be read"),
    ],
)
def test_prompts_that_can_not_be_used_are_said_in_one_line(elsewhere, capsys, arguments, message):
    assert call("predict", "x.mp4", "-o", "out", *arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: ") and said.count("\n") == 1
    assert message in said


def test_inside_the_project_its_own_mlflow_is_asked(elsewhere, capsys, monkeypatch):
    (elsewhere / "pyproject.toml").write_text('[tool.kedro]\npackage_name = "mgn_ma"\n')
    (elsewhere / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(elsewhere / "deep" / "er")
    assert call("predict", "x.mp4", "-o", "out") == 1
    assert f"there is no MLflow at sqlite:///{elsewhere}/mlflow.db yet" in capsys.readouterr().err


def test_help_and_version(capsys):
    for arguments, expected in ((["predict", "--help"], "Folder for the results"), (["--version"], "mgn_ma 0.")):
        assert call(*arguments) == 0
        assert expected in capsys.readouterr().out
