"""The command ``mgn-ma``: what needs no Kedro project, only this package, a model and videos.

Its module is not named ``cli``, which Kedro would take for commands of the project.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import tempfile
import tomllib
import traceback
import webbrowser
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgn_ma.telemetry import disable_telemetry

disable_telemetry()  # before MLflow is imported, which reads the switches then

from mgn_ma import __version__  # noqa: E402
from mgn_ma.errors import MGNMAError, message_for_people  # noqa: E402
from mgn_ma.garbage import collect_rarely  # noqa: E402
from mgn_ma.redaction import redact_logs, redacted  # noqa: E402
from mgn_ma.run_lock import claimed  # noqa: E402
from mgn_ma.terminal import escape_unprintable  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd

    from mgn_ma.inference.model import Model

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
CHAMPION = "models:/mgn-ma@champion"
ZERO_SHOT = "zero-shot"
"""The model that needs no training; a folder of that name is ./zero-shot."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class UsageError(MGNMAError):
    """The command can't be carried out as it was given; the message says how it could."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mgn_ma {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What a video makes its viewers feel, moment by moment."""


@app.command()
def predict(
    videos: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO",
            help="Files, folders, patterns, lists (.txt, .csv) or URLs. Put -- before names that start with a dash.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")],
    model: Annotated[
        str, typer.Option(help="models:/mgn-ma@champion, models:/mgn-ma/3, the folder of a bundle, or zero-shot.")
    ] = CHAMPION,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of zero-shot: YAML with other prompts or encoders.")
    ] = None,
    fetch_weights: Annotated[
        bool, typer.Option("--fetch-weights", help="Of zero-shot: download encoders that are not here yet.")
    ] = False,
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            help=f"MLflow with the model. Default: {TRACKING_VARIABLE}, or mlflow.db of the project around this folder."
        ),
    ] = None,
    captions: Annotated[
        str | None, typer.Option(help="Captions (.vtt, .srt, .json3) of the one video. Default: those beside it.")
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Title of the one video. Default: that of the .info.json beside it.")
    ] = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Make a page a video, to look at.")] = True,
    show: Annotated[bool, typer.Option("--open", help="Open the page, or the index of several, in a browser.")] = False,
    weights: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder with the weights of the model's extractors.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that read videos.")] = 1,
    max_seconds: Annotated[float, typer.Option(min=1, help="A longer video is not read.")] = 6 * 3600,
) -> None:
    """Predict what viewers of videos express: curves at 6 Hz, moments, why they happen, and a page a video.

    The model zero-shot needs no training and no project: it compares moments with words, and nobody has validated it.

    DIR gets curves.parquet, curves.csv, seconds.csv, attention.parquet, contributions.parquet, moments.json,
    account.csv, index.html and pages/. A second call with the same DIR does not read again what it has read. Exit
    status 1: a video could not be predicted (the others are), or none could.
    """
    from mgn_ma.execution import ExecutionConfig
    from mgn_ma.files import remove_unfinished
    from mgn_ma.inference.finding import find_videos
    from mgn_ma.inference.videos import VideoSettings
    from mgn_ma.media.fetch import FetchConfig, hosts_of, is_remote
    from mgn_ma.reporting.prediction import PredictionSettings, predict_videos, write_tables
    from mgn_ma.reporting.prediction_page import PAGES, PageSettings

    found = find_videos(videos)
    if len(found) > 1 and (captions is not None or title is not None):
        raise UsageError(f"--captions and --title are of one video, and there are {len(found)}: use a list (.csv)")
    if captions is not None and not is_remote(captions) and not Path(captions).is_file():
        raise UsageError(f"--captions {captions}: no such file")
    found = [
        replace(video, captions=captions or video.captions, title=title if title is not None else video.title)
        for video in found
    ]
    if model != ZERO_SHOT and (prompts is not None or fetch_weights):
        raise UsageError(f"--prompts and --fetch-weights are of --model {ZERO_SHOT}, and the model is {model}")
    _require_writable(output)
    fetch = FetchConfig(private_hosts=hosts_of([*videos, captions or ""]))
    reading = VideoSettings(weights=weights, fetch=fetch, max_seconds=max_seconds)
    with claimed(output, "mgn-ma predict", ["the predictions"]):
        for folder in (output, output / PAGES):
            remove_unfinished(folder, below=False)
        bundle, name = _load(model, tracking_uri, prompts, may_fetch=fetch_weights)
        tables = predict_videos(
            bundle,
            found,
            PredictionSettings(reading=reading, page=PageSettings(write=page)),
            execution=ExecutionConfig(workers=workers),
            tracks=output / ".tracks",
            pages=output,
            model=name,
            keep=partial(write_tables, root=output),
        )
        write_tables(tables, output)
    n_failed = _report(tables.account, output)
    if show and page and n_failed < len(tables.account):
        webbrowser.open(_first_page(tables.account, output).resolve().as_uri())
    if n_failed:
        raise typer.Exit(1)


@app.command()
def compare(
    videos: Annotated[
        list[str], typer.Argument(metavar="VIDEO", help="Two cuts of a video; with two models, one video.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="As of predict; given twice, A is the first one and B the second."),
    ] = None,
    tracking_uri: Annotated[str | None, typer.Option(help="As of predict.")] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder with the weights of the models' extractors.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that read videos.")] = 1,
    max_seconds: Annotated[float, typer.Option(min=1, help="A longer video is not read.")] = 6 * 3600,
) -> None:
    """Compare two cuts of a video, A and B, or what two models say of one video.

    Cuts are aligned by their pictures: what both have is compared moment by moment, and what one alone has is told.
    DIR gets comparison.html, differences.csv and comparison.json.
    """
    from mgn_ma.execution import ExecutionConfig
    from mgn_ma.files import remove_unfinished
    from mgn_ma.inference.finding import find_videos
    from mgn_ma.inference.videos import VideoSettings
    from mgn_ma.media.fetch import FetchConfig, hosts_of
    from mgn_ma.reporting.comparison import PAGE, compare_predictions
    from mgn_ma.reporting.page import passage_text

    models = model or [CHAMPION]
    found = find_videos(videos)
    if (len(found), len(models)) not in {(2, 1), (1, 2)}:
        raise UsageError(
            "compare takes two videos and one --model, or one video and two: "
            f"there are {len(found)} videos and {len(models)} models"
        )
    _require_writable(output)
    reading = VideoSettings(weights=weights, fetch=FetchConfig(private_hosts=hosts_of(videos)), max_seconds=max_seconds)
    with claimed(output, "mgn-ma compare", ["the comparison", "the predictions"]):
        remove_unfinished(output, below=False)
        bundles = [_load(name, tracking_uri) for name in models]
        passages = compare_predictions(bundles, found, reading, ExecutionConfig(workers=workers), output)
    if len(found) == 2:
        for passage in passages:
            typer.echo(passage_text(passage))
    typer.echo(f"Results: {output / PAGE}")


@app.command()
def new(
    project: Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder, which is made.")],
) -> None:
    """Lay out a Kedro project in a new or empty folder: settings, folders for data, documentation."""
    from mgn_ma.new_project import lay_out

    lay_out(project)
    typer.echo(f"{project} is a project now. Next:")
    typer.echo(f"  cd {shlex.quote(str(project))}")
    typer.echo("  kedro run --env sample --pipelines sample_data,__default__   # the whole chain on a rendered sample")
    typer.echo("  mgn-ma doctor                                                # what your own data still lack")


@app.command("annotations")
def take_annotations(
    name: Annotated[str, typer.Argument(metavar="FORMAT", help="mediaeval-2018, vce or mr-hisum.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The data set as it is published.")],
    env: Annotated[
        str | None, typer.Option(help="Environment of the project around this folder. Default: base.")
    ] = None,
) -> None:
    """Take the annotations of another data set than EEV into the project around this folder, and link its videos.

    Writes annotations at 6 Hz, the labels of the test set, and the parameter `targets`; nothing is written over.
    """
    from mgn_ma.hooks.errors import for_environment
    from mgn_ma.import_annotations import FORMATS, import_annotations

    if name not in FORMATS:
        raise UsageError(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    project = _project()
    if project is None:
        raise UsageError("no project is around this folder: call this in one (`mgn-ma new DIR` lays one out)")
    typer.echo(import_annotations(project, name, folder.resolve(), env))
    typer.echo(for_environment("Next: kedro run --pipelines ingestion", env))


@app.command()
def doctor(
    env: Annotated[str | None, typer.Option(help="Environment of the project around this folder: sample, say.")] = None,
) -> None:
    """Say what is here for runs and predictions, what is missing, and what to do. Exit status 1: something is missing.

    Looks at the software, the device, the disk and, in a project, at weights, data and models. Changes nothing.
    """
    from mgn_ma.doctor import examine
    from mgn_ma.hooks.errors import for_environment

    missing = 0
    for finding in examine(_project(), env):
        missing += not finding.good
        typer.echo(for_environment(str(finding), env))
    if missing:
        raise typer.Exit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command (by default the one of this process); a foreseen error ends it with its message and status 1."""
    collect_rarely()
    escape_unprintable()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    redact_logs()
    logging.getLogger("mgn_ma").setLevel(logging.INFO)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        app(arguments, prog_name="mgn-ma")
    except Exception as error:
        message = message_for_people(error)
        if message is None:
            typer.echo(redacted("".join(traceback.format_exception(error))), err=True)
        else:
            typer.echo(f"Error: {message}", err=True)
        sys.exit(1)


def _load(
    model: str, tracking_uri: str | None, prompts: Path | None = None, *, may_fetch: bool = False
) -> tuple[Model, str]:
    if model == ZERO_SHOT:
        from mgn_ma.inference.zero_shot.config import read_config
        from mgn_ma.inference.zero_shot.making import make_zero_shot

        made = make_zero_shot(read_config(prompts), may_fetch=may_fetch)
        return made, f"{ZERO_SHOT} ({made.digest()[:12]})"
    from mgn_ma.tracking.registry import ModelRegistry
    from mgn_ma.tracking.server import resolve_uri

    if not model.startswith(("models:", "runs:")):
        return ModelRegistry("").named_bundle(model)
    project = _project()
    uri = tracking_uri or os.environ.get(TRACKING_VARIABLE) or (project and "sqlite:///mlflow.db")
    if not uri:
        raise UsageError(
            f"{model} is in an MLflow, and none is named: give --tracking-uri, set {TRACKING_VARIABLE}, call this in "
            "the project that trained the model, or name the folder of a bundle with --model"
        )
    place = Path.cwd() if tracking_uri or project is None else project
    return ModelRegistry(resolve_uri(uri, place)).named_bundle(model)


def _project() -> Path | None:
    """The Kedro project of this package around the working directory."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        description = folder / "pyproject.toml"
        if description.is_file():
            kedro = tomllib.loads(description.read_text(encoding="utf-8")).get("tool", {}).get("kedro", {})
            if kedro.get("package_name") == "mgn_ma":
                return folder
    return None


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{folder}: can't be written to: {error.strerror or error}") from error


def _report(account: pd.DataFrame, output: Path) -> int:
    """Say what came of the videos (why one failed was said when it did); returns how many failed."""
    n_failed = int((account["status"] == "failed").sum())
    for row in account[account["status"] == "predicted"].to_dict("records"):
        without = f", without {row['without']}" if row["without"] else ""
        typer.echo(f"{row['video_id']}: {row['seconds_of_video']:.1f} s, {row['moments']} moments{without}")
    if n_failed:
        typer.echo(
            f"{n_failed} of {len(account)} videos could not be predicted: see {output / 'account.csv'}", err=True
        )
    if n_failed < len(account):
        typer.echo(f"Results: {output}")
    return n_failed


def _first_page(account: pd.DataFrame, output: Path) -> Path:
    pages = [page for page in account["page"] if page]
    return output / "pages" / pages[0] if len(pages) == 1 else output / "index.html"
