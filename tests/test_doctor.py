"""What is here and what is missing, told in an empty folder, in a project without data, and after a whole run."""

import os
from collections import Counter

import pytest
from tiny_project import TINY, make_project

from mgn_ma import doctor
from mgn_ma.doctor import examine


@pytest.fixture
def look(monkeypatch):
    """The findings in a project, by what they are about; Kedro takes its configuration from the working directory."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def found(project, env):
        monkeypatch.chdir(project)
        findings = list(examine(project, env))
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        return findings

    return found


def told(findings, about):
    return [finding for finding in findings if finding.about == about]


def test_in_no_project_machine_and_disk_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    findings = list(examine(None))
    assert [finding.about for finding in findings] == ["software", "device", "disk", "zero-shot", "project"]
    assert all(finding.good for finding in findings)


def test_a_project_without_data_is_told_how_to_come_by_them_and_nothing_is_made(tmp_path, look):
    project = make_project(tmp_path / "project", TINY)
    before = sorted(project.rglob("*"))
    findings = look(project, "sample")
    (data,) = told(findings, "data")
    assert not data.good
    assert "kedro run --pipelines sample_data,__default__" in data.said
    (models,) = told(findings, "models")
    assert models.good
    assert models.said.endswith("mlflow.db is made by the first run")
    assert [path for path in sorted(project.rglob("*")) if "__pycache__" not in path.parts] == before


def test_weights_that_are_absent_are_named_with_the_way_to_them(tmp_path, look, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no_hub"))
    findings = look(make_project(tmp_path / "project", TINY), None)
    assert Counter(finding.good for finding in told(findings, "weights")) == {False: 5}
    assert "image: no file model.safetensors" in told(findings, "weights")[0].said


def test_encoders_of_zero_shot_that_are_absent_are_no_fault_and_prompts_that_can_not_be_read_are_one(
    tmp_path, look, monkeypatch, prompts_file
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no_hub"))
    project = make_project(tmp_path / "project", TINY)
    (absent,) = told(look(project, "sample"), "zero-shot")
    assert absent.good
    assert "audio: laion/clap-htsat-unfused would be fetched with --fetch-weights" in absent.said
    parameters = project / "conf/local/parameters.yml"
    parameters.write_text(f"zero_shot: {{prompts: {prompts_file}}}")
    (here,) = told(look(project, "local"), "zero-shot")
    assert here.said == f"image: {prompts_file.parent}/clip is here; audio: {prompts_file.parent}/clap is here"
    parameters.write_text("zero_shot: {prompts: no.yml}")
    (unread,) = told(look(project, "local"), "zero-shot")
    assert not unread.good
    assert "no.yml: can't be read" in unread.said


def test_an_unknown_environment_ends_the_look_at_the_project(tmp_path, look):
    *_, last = look(make_project(tmp_path / "project", TINY), "nope")
    assert str(last) == "no  project       there is no environment 'nope'; there are base, local, sample, smoke"


@pytest.mark.slow
def test_after_a_whole_run_nothing_is_missing(undisturbed, look):
    findings = look(undisturbed[0], "sample")
    assert all(finding.good for finding in findings)
    assert "without a champion: `kedro run --pipelines promotion` makes one" in told(findings, "models")[0].said


def test_a_full_disk_and_a_broken_library_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "LEAST_FREE", 1 << 60)
    monkeypatch.setattr(doctor, "LIBRARIES", ("no_such_library",))
    software, _, disk, *_ = examine(None)
    assert not software.good
    assert "no_such_library" in software.said
    assert not disk.good
    assert "extraction_estimate" in disk.said
