"""Which errors end with their message alone, and that every error class of ours is one of them."""

import errno
import importlib
import pkgutil

import pytest
from kedro.io import DatasetError

import mgn_ma
from mgn_ma.errors import TRACEBACK_VARIABLE, MGNMAError, message_for_people


class OurError(MGNMAError):
    pass


def wrapped(cause):
    try:
        try:
            raise cause
        except BaseException as error:
            raise DatasetError("Failed while loading data from dataset X") from error
    except DatasetError as error:
        return error


def test_our_own_errors_are_foreseen_also_where_another_library_wraps_them(monkeypatch):
    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)
    assert message_for_people(OurError("no row")) == "no row"
    assert message_for_people(wrapped(wrapped(OurError("no row")))) == "no row"
    assert message_for_people(wrapped(KeyError("x")), also=(LookupError,)) == "'x'"


def test_a_full_disk_is_foreseen_and_names_the_file():
    full = OSError(errno.ENOSPC, "No space left on device", "/data/a.arrow")
    assert message_for_people(wrapped(full)).startswith("/data/a.arrow: No space left on device. What is written")
    assert message_for_people(OSError(errno.EACCES, "Permission denied", "/data/a.arrow")) is None


def test_frames_are_shown_on_demand(monkeypatch):
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    assert message_for_people(OurError("no row")) is None


@pytest.mark.parametrize("error", [ValueError("x"), wrapped(ValueError("x")), KeyboardInterrupt(), OSError("x")])
def test_other_errors_are_not(error):
    assert message_for_people(error) is None


def test_every_error_class_of_the_project_derives_from_the_base():
    seen = 0
    for module in pkgutil.walk_packages(mgn_ma.__path__, "mgn_ma."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, Exception) and value.__module__.startswith("mgn_ma."):
                seen += 1
                assert issubclass(value, MGNMAError), value
    assert seen
