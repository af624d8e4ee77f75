"""Every command of the documentation is one that its program takes, as far as can be told without doing the work."""

import json

import pytest
from doc_commands import ROOT, Command, find, problem

NONE = {"CHANGELOG.md", "parameters.md"}
"""What was a command once need not be one now; the other page is made of the code."""
PAGES = [
    page
    for pattern in ("*.md", "docs/*.md", "notebooks/*.ipynb", "benchmarks/*.md", "src/mgn_ma/template/*.md")
    for page in sorted(ROOT.glob(pattern))
    if page.name not in NONE
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_would_be_taken(page):
    assert [said for command in find(page) if (said := problem(command))] == []


def test_the_commands_of_the_documentation_are_found():
    assert sum(command.whole for page in PAGES for command in find(page)) > 80
    assert sum(not command.whole for page in PAGES for command in find(page)) > 80


PAGE = """# A page

    kedro run --env nope       # of a block that is indented

- In a sentence, `mgn-ma predict` is no whole command, and `kedro run
  --tags evaluation,nope` is none that is right, nor is `make it`.

```console
$ cd affect && TORCH=cpu make run CUDA=1
$ kedro run \\
    --params sampel.videos=3 | cat
make nothing of what is printed
```

```python
make = "no command"
```
"""
PROBLEMS = [
    "3: `kedro run --env nope`: there is no environment 'nope'",
    "5: `kedro run --tags evaluation,nope`: no node of these pipelines has the tag 'nope'",
    "5: `make it`: the Makefile has no target 'it'",
    "9: `make run CUDA=1`: the Makefile has no variable 'CUDA'",
    "10: `kedro run --params sampel.videos=3`: --params: no node of these pipelines reads 'sampel.videos'",
]


def test_a_wrong_command_is_told_with_its_place_and_the_reason(tmp_path):
    page, notebook = tmp_path / "page.md", tmp_path / "page.ipynb"
    page.write_text(PAGE)
    assert [said for command in find(page) if (said := problem(command))] == [f"page.md:{each}" for each in PROBLEMS]
    notebook.write_text(json.dumps({"cells": [{"cell_type": "code"}, {"cell_type": "markdown", "source": [PAGE]}]}))
    place = "page.ipynb, cell 1, line "
    assert [said for command in find(notebook) if (said := problem(command))] == [place + each for each in PROBLEMS]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kedro rum", "No such command 'rum'"),
        ("kedro run --evn sample", "No such option '--evn'"),
        ("kedro run --pipelines training,nope", "there is no pipeline 'nope'"),
        ("kedro run --from-nodes nope", "nope"),
        ("kedro run --to-outputs nope", "nope"),
        ("kedro run --tags training,nope", "no node of these pipelines has the tag 'nope'"),
        ("kedro run --namespaces frame_features.nope", "frame_features.nope"),
        ("kedro run --load-versions nope:2026-11-22T20.47.58.529Z", "these pipelines have no dataset 'nope'"),
        ("kedro run --tags training --params download.limit=3", "no node of these pipelines reads 'download.limit'"),
        ("kedro run --params training.epoch=3", "epoch"),
        ("kedro run --params training.epochs=few", "epochs"),
        ("kedro run --params execution.workers=0", "workers"),
        ("kedro catalog describe-datasets --pipeline nope", "there is no pipeline 'nope'"),
        ("mgn-ma predict holiday.mp4 --out out", "No such option"),
        ("mgn-ma predict holiday.mp4", "Missing option"),
        ("mgn-ma doctor --env nope", "there is no environment 'nope'"),
        ("mlflow models server -m m", "No such command 'server'"),
        ("mlflow models serve -m m --prot 1", "No such option '--prot'"),
        ("make tests", "no target 'tests'"),
        ("make trust KILL=20", "no variable 'KILL'"),
        ("python benchmarks/nope.py", "there is no benchmarks/nope.py"),
        ("python benchmarks/ridge.py --help", "it is no program"),
        ("python benchmarks/temporal.py --repeat-it 1", "unrecognized arguments: --repeat-it 1"),
        ("python benchmarks/temporal.py --repeats few", "invalid int value: 'few'"),
    ],
)
def test_what_its_program_would_refuse_is_a_problem(text, reason):
    said = problem(Command("page.md:1", text, whole=True))
    assert said.startswith(f"page.md:1: `{text}`: ")
    assert reason in said


@pytest.mark.parametrize("text", ["mgn-ma predict", "kedro run --nodes", "kedro catalog", "mlflow models predict"])
def test_a_sentence_may_cut_a_command_short_and_a_block_may_not(text):
    assert problem(Command("page.md:1", text, whole=False)) is None
    assert problem(Command("page.md:1", text, whole=True)) is not None


@pytest.mark.parametrize("text", ["kedro run --help", "mgn-ma --version", "python benchmarks/training.py --help"])
def test_what_only_prints_is_right(text):
    assert problem(Command("page.md:1", text, whole=True)) is None
