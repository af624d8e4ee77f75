"""Laying out a Kedro project for the installed package: its settings, empty folders for data, its documentation."""

from __future__ import annotations

import shutil
from pathlib import Path

from mgn_ma.errors import MGNMAError

TEMPLATE = Path(__file__).with_name("template")
"""What a project starts with. The wheel adds conf, data and docs of the repository to it (`pyproject.toml`)."""


class NewProjectError(MGNMAError):
    """A project can't be laid out there; the message says why."""


def lay_out(project: Path, template: Path = TEMPLATE) -> None:
    """Make the folder ``project`` a Kedro project of this package.

    Raises:
        NewProjectError: it holds something already, it can't be written to, or this package is a checkout of the
            repository, which is such a project itself.
    """
    if not (template / "conf").is_dir():
        root = template.parents[2]
        raise NewProjectError(f"this mgn_ma is the repository in {root}, which is a project itself: work there")
    try:
        if project.exists() and any(project.iterdir()):
            raise NewProjectError(f"{project} is not empty: name a new folder")
        # Without the modes of an installation, which may be read-only.
        shutil.copytree(template, project, copy_function=shutil.copyfile, dirs_exist_ok=True)
    except OSError as error:
        raise NewProjectError(f"{project}: can't be made a project: {error.strerror or error}") from error
