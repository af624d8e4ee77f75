"""The container recipes as Docker and Compose read them, as far as the tests need it."""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<how>[?-])(?P<other>[^}]*))?\}")


def compose(**environment):
    """The content of compose.yaml with its variables replaced.

    Raises:
        KeyError: a variable that it demands is not in ``environment``.
    """

    def value(match):
        if match["how"] == "-":
            return environment.get(match["name"], match["other"])
        return environment[match["name"]]

    return yaml.safe_load(_VARIABLE.sub(value, (ROOT / "compose.yaml").read_text()))


def variables():
    """The variables of compose.yaml: name to whether it has a default."""
    return {m["name"]: m["how"] == "-" for m in _VARIABLE.finditer((ROOT / "compose.yaml").read_text())}


def dockerfile():
    """The Dockerfile's stages: name to (parent, [(instruction, the rest of its line)])."""
    stages = {}
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    for line in text.splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            parent, name = rest.split(" AS ")
            stages[name] = (parent, [])
        elif instruction.isupper():
            stages[name][1].append((instruction, rest.strip()))
    return stages


def default_command(stage):
    """What a container of ``stage`` runs, as a list of words."""
    return next(json.loads(rest) for instruction, rest in reversed(dockerfile()[stage][1]) if instruction == "CMD")
