"""The container recipes, linted: no engine builds or starts them here."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from containers import ROOT, compose, default_command, dockerfile, variables

SECRETS = {"POSTGRES_PASSWORD": "a", "S3_ACCESS_KEY": "b", "S3_SECRET_KEY": "c"}
IMAGES = ("tracking", "project")
"""The stages that are run, not built from."""


def hadolint(path):
    program = shutil.which("hadolint") or str(Path(sys.executable).parent / "hadolint")
    return subprocess.run([program, "--no-color", str(path)], capture_output=True, text=True, timeout=60)


def test_hadolint_finds_nothing():
    linted = hadolint(ROOT / "Dockerfile")
    assert (linted.returncode, linted.stdout) == (0, "")


def test_hadolint_would_find_a_base_image_without_a_tag(tmp_path):
    text = (ROOT / "Dockerfile").read_text()
    (tmp_path / "Dockerfile").write_text(re.sub(r"FROM python:\S+", "FROM python", text))
    assert "DL3006" in hadolint(tmp_path / "Dockerfile").stdout


class TestDockerfile:
    @pytest.mark.parametrize("stage", IMAGES)
    def test_an_image_does_not_run_as_root(self, stage):
        users = [rest for instruction, rest in dockerfile()[stage][1] if instruction == "USER"]
        assert users == ["1000"]

    @pytest.mark.parametrize("stage", IMAGES)
    def test_an_image_listens_where_it_says_and_is_asked_for_its_health_there(self, stage):
        instructions = dict(dockerfile()[stage][1])
        command = default_command(stage)
        port = command[command.index("--port") + 1]
        assert command[command.index("--host") + 1] == "0.0.0.0"
        assert instructions["EXPOSE"] == port
        assert f"127.0.0.1:{port}/" in instructions["HEALTHCHECK"]

    def test_the_last_stage_is_the_project(self):
        assert list(dockerfile())[-1] == "project"

    def test_every_installation_is_held_to_the_lock_and_leaves_no_cache(self):
        installations = [rest for _, lines in dockerfile().values() for _, rest in lines if "pip install" in rest]
        assert len(installations) == 2
        assert all("--constraint requirements.lock" in line and "--no-cache-dir" in line for line in installations)

    def test_what_is_installed_is_in_the_lock(self):
        lock = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE))
        (line,) = (rest for _, rest in dockerfile()["tracking-environment"][1] if "pip install" in rest)
        assert set(line.split("requirements.lock ")[1].split()) == {"mlflow", "psycopg2-binary", "boto3"} <= lock.keys()


def copied():
    """What the Dockerfile takes from the build's context."""
    for _, lines in dockerfile().values():
        for instruction, rest in lines:
            words = [word for word in rest.split() if not word.startswith("--chown")]
            if instruction == "COPY" and not words[0].startswith("--from"):
                yield from words[:-1]


def context(root):
    """The files under ``root`` that the engine would see, by Docker's own reading of .dockerignore."""
    build = pytest.importorskip("docker.utils.build")
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    return {path for path in build.exclude_paths(str(root), patterns) if (root / path).is_file()}


def test_the_context_has_what_is_copied_and_nothing_private(tmp_path):
    wanted = {"requirements.lock", "pyproject.toml", "README.md", "LICENSE", ".telemetry", "conf/base/catalog.yml"}
    wanted |= {"conf/logging.yml", "src/mgn_ma/__init__.py", "src/mgn_ma/pipelines/training/nodes.py"}
    private = {".env", ".git/config", ".venv/bin/python", "data/01_raw/videos/a.mp4", "mlflow.db", "mlartifacts/1/x"}
    private |= {"conf/local/mlflow.yml", "conf/base/credentials.yml", "src/mgn_ma/__pycache__/a.pyc", "tests/a.py"}
    for name in wanted | private:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert context(tmp_path) == wanted
    for name in copied():
        assert (ROOT / name).exists(), name
        assert any(path == name or path.startswith(f"{name}/") for path in wanted), name


@pytest.fixture
def content():
    return compose(**SECRETS)


class TestCompose:
    def test_it_keeps_to_the_specification(self, content):
        reader = pytest.importorskip("compose_spec").PyCompose
        reader.from_yaml(yaml.safe_dump(content)).validate()
        mistaken = {**content, "services": {"database": {"imagine": "postgres"}}}
        with pytest.raises(ValueError, match="imagine"):
            reader.from_yaml(yaml.safe_dump(mistaken))

    def test_images_of_others_are_pinned(self, content):
        images = {s["image"] for s in content["services"].values() if "build" not in s}
        assert len(images) == 2
        assert all(re.fullmatch(r"[\w/]+:\d+\.\d+(-\w+)?", image) for image in images)

    def test_every_build_is_a_stage_that_is_run(self, content):
        targets = {s["build"].get("target") if isinstance(s["build"], dict) else "project"
                   for s in content["services"].values() if "build" in s}  # fmt: skip
        assert targets == set(IMAGES)

    def test_a_service_waits_for_the_health_of_what_it_needs(self, content):
        services = content["services"]
        for service in services.values():
            for name, condition in service.get("depends_on", {}).items():
                assert condition == {"condition": "service_healthy"}
                assert "healthcheck" in services[name] or "build" in services[name]

    def test_what_is_kept_lies_in_a_declared_volume(self, content):
        mounts = [mount.split(":")[0] for s in content["services"].values() for mount in s.get("volumes", [])]
        assert set(mounts) == content["volumes"].keys()

    def test_nothing_is_published_beyond_this_machine(self, content):
        ports = [port for s in content["services"].values() for port in s.get("ports", [])]
        assert len(ports) == 2
        assert all(port.startswith("127.0.0.1:") for port in ports)

    def test_no_secret_stands_in_it_and_none_has_a_default(self, content):
        assert {name for name, has_default in variables().items() if not has_default} == SECRETS.keys()
        for service in content["services"].values():
            for name, value in service.get("environment", {}).items():
                assert (value in SECRETS.values()) == bool(re.search("PASS|KEY", name)), name
        with pytest.raises(KeyError, match="POSTGRES_PASSWORD"):
            compose()

    def test_the_example_names_every_variable_and_fills_in_no_secret(self):
        lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and line[0] != "#"]
        example = dict(line.split("=") for line in lines)
        assert example.keys() == variables().keys()
        assert {name for name, value in example.items() if not value} == SECRETS.keys()
