"""The commands of a Markdown page or a notebook, and what their own parsers say against them; none does its work."""

import functools
import json
import re
import runpy
import shlex
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from kedro.config import OmegaConfigLoader
from kedro.framework.cli.cli import KedroCLI
from kedro.framework.project import pipelines, settings
from kedro.validation.parameter_validator import ParameterValidator
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
SHELLS = {"", "bash", "console", "sh", "text"}
"""Languages of blocks that have commands; other blocks are programs or settings."""
LEFT_OUT = re.compile(r"^Missing |requires an argument|are required|expected .*argument|^Usage: ")
"""How parsers say that something is not there, which a command within a sentence may do without."""


class Command(NamedTuple):
    """A command, and whether it is to be typed as it stands: one within a sentence may be cut short."""

    place: str
    text: str
    whole: bool


class WrongCommandError(Exception):
    """A command that would be refused; the message says why."""


def find(page):
    """Every command of `PROGRAMS` on a page, those of a notebook from its Markdown cells."""
    name = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page.name
    if page.suffix == ".ipynb":
        for number, cell in enumerate(json.loads(page.read_text(encoding="utf-8"))["cells"]):
            if cell["cell_type"] == "markdown":
                yield from _of_markdown("".join(cell["source"]), f"{name}, cell {number}, line ")
    else:
        yield from _of_markdown(page.read_text(encoding="utf-8"), f"{name}:")


def _of_markdown(text, place):
    for token in MarkdownIt().enable("table").parse(text):
        if token.type in {"fence", "code_block"} and token.info.partition(" ")[0] in SHELLS:
            first = token.map[0] + (2 if token.type == "fence" else 1)
            for offset, line in _lines(token.content):
                yield from _in_line(line, f"{place}{first + offset}", whole=True)
        for child in token.children or ():
            if child.type == "code_inline":
                yield from _in_line(child.content, f"{place}{token.map[0] + 1}", whole=False)


def _lines(block):
    """The lines that are typed, with those that they go on in; where some have a prompt, all others are output."""
    lines = block.splitlines()
    prompted = any(line.startswith("$ ") for line in lines)
    for number, line in enumerate(lines):
        if prompted and not line.startswith("$ "):
            continue
        end = number
        while line.endswith("\\"):
            end += 1
            line = line[:-1] + lines[end]
        yield number, line.removeprefix("$ ")


def _in_line(line, place, *, whole):
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:  # an apostrophe of a language that is none of a shell's
        return
    part = []
    for word in [*words, ";"]:
        if set(word) <= set("|&;<>"):
            if command := _from_its_program(part, whole=whole):
                yield Command(place, shlex.join(command), whole)
            part = []
        elif word != "…":
            part.append(word)


def _from_its_program(words, *, whole):
    """The words from the name of a program on: before it may stand variables, or what starts it. `None` without one."""
    for number, word in enumerate(words[:-1]):
        name = Path(word).name
        if name in PROGRAMS and (name != "python" or words[number + 1].startswith("benchmarks/")):
            return [name, *words[number + 1 :]]
        if not whole and not re.match(r"[A-Z_]+=", word):
            return None  # a sentence may quote anything
    return None


def problem(command):
    """Why a command would be refused, or `None`."""
    name, *words = shlex.split(command.text)
    try:
        PROGRAMS[name](words)
    except Exception as error:  # of click, of the click inside typer, of Kedro, of Pydantic
        reason = error.format_message() if hasattr(error, "format_message") else str(error)
        if type(error).__name__ == "Exit" or (not command.whole and LEFT_OUT.search(reason)):
            return None
        return f"{command.place}: `{command.text}`: {reason}"
    return None


def _parse(group, words):
    """What a group of click's, or of typer's copy of it, would give to the command that it reaches; none is called."""
    reached = []
    base = next(kind for kind in type(group).__mro__ if kind.__name__ == "Command")
    called_instead = patch.object(base, "invoke", lambda _, context: reached.append(context))
    with called_instead, group.make_context(group.name, list(words)) as context:
        group.invoke(context)
    return reached[-1].params


@functools.cache
def _kedro_cli():
    cli = KedroCLI(ROOT)
    pipelines.set_requested(None)
    return cli


def _kedro(words):
    given = _parse(_kedro_cli(), words)
    _require_environment(given.get("env"))
    names = given.get("pipelines") or given.get("pipeline") or "__default__"
    names = [names] if isinstance(names, str) else names
    for name in names:
        if name not in pipelines:
            raise WrongCommandError(f"there is no pipeline {name!r}")
    if "load_versions" not in given:
        return  # it runs nothing
    pipeline = sum((pipelines[name] for name in names[1:]), start=pipelines[names[0]])
    for tag in given["tags"]:
        if not any(tag in node.tags for node in pipeline.nodes):  # of several, Kedro takes those there are
            raise WrongCommandError(f"no node of these pipelines has the tag {tag!r}")
    pipeline = pipeline.filter(
        node_names=given["node_names"],
        node_namespaces=given["namespaces"],
        **{name: given[name] for name in ("tags", "from_nodes", "to_nodes", "from_inputs", "to_outputs")},
    )
    for name in given["load_versions"] or ():
        if name not in pipeline.datasets():
            raise WrongCommandError(f"--load-versions: these pipelines have no dataset {name!r}")
    _require_parameters(given["params"], pipeline, given["env"])


def _require_environment(env):
    if env and not (ROOT / "conf" / env).is_dir():
        raise WrongCommandError(f"there is no environment {env!r}")


def _require_parameters(given, pipeline, env):
    """Those given are read by a node, and with those of the environment are what the classes take that check them."""
    read = [name.removeprefix("params:") for name in pipeline.inputs() if name.startswith("params:")]
    for name in _dotted(given):
        if not any(f"{name}.".startswith(f"{other}.") or f"{other}.".startswith(f"{name}.") for other in read):
            raise WrongCommandError(f"--params: no node of these pipelines reads {name!r}")
    loader = OmegaConfigLoader(
        str(ROOT / "conf"), env=env, runtime_params=given, **settings.CONFIG_LOADER_ARGS | {"default_run_env": "base"}
    )
    ParameterValidator({"": pipeline}).validate_raw_params(loader["parameters"])


def _dotted(tree):
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from (f"{name}.{inner}" for inner in _dotted(value))
        else:
            yield name


def _mgn_ma(words):
    from typer.main import get_command

    from mgn_ma.command import app

    _require_environment(_parse(get_command(app), words).get("env"))


def _mlflow(words):
    from mlflow.cli import cli

    _parse(cli, words)


def _make(words):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, is_variable, _ = word.partition("=")
        if not re.search(rf"\$\({name}\)" if is_variable else rf"(?m)^{name}:", makefile):
            raise WrongCommandError(f"the Makefile has no {'variable' if is_variable else 'target'} {name!r}")


class _ParsedError(Exception):
    pass


def _python(words):
    """Run a benchmark until it has parsed its arguments."""
    script, *arguments = words
    if not (ROOT / script).is_file():
        raise WrongCommandError(f"there is no {script}")
    parse_args = ArgumentParser.parse_args

    def parse_and_stop(self, *arguments):
        parse_args(self, *arguments)
        raise _ParsedError

    def stop(*_):  # after --help
        raise _ParsedError

    def refuse(_, message):
        raise WrongCommandError(message)

    patches = {"parse_args": parse_and_stop, "exit": stop, "error": refuse}
    with patch.multiple(ArgumentParser, **patches), patch.object(sys, "argv", [script, *arguments]):
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except _ParsedError:
            return
    raise WrongCommandError(f"{script} takes no arguments: it is no program")


PROGRAMS = {"kedro": _kedro, "mgn-ma": _mgn_ma, "mlflow": _mlflow, "make": _make, "python": _python}
