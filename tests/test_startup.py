"""Registering pipelines and checking their parameters costs none of the libraries that take seconds to import."""

import subprocess
import sys
from pathlib import Path

HEAVY = {"torch", "timm", "transformers", "mlflow", "ray", "scipy", "sklearn"}
# Kedro resolves the annotations of a node's function to check its parameters.
REGISTER = """
import sys
from pathlib import Path
from typing import get_type_hints

from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())

from kedro.framework.project import pipelines

for node in pipelines["__default__"].nodes + pipelines["ablation"].nodes + pipelines["promotion"].nodes:
    assert get_type_hints(node.func), node
print("loaded:", *sys.modules)
"""


def test_registering_pipelines_imports_nothing_heavy():
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", REGISTER], cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.partition("loaded:")[2].split()}
    assert "mgn_ma" in loaded
    assert not loaded & HEAVY
