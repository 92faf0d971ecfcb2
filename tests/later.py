"""A package that a file of tests imports when the first of them runs: every process collects all files, and runs a part of them."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest

# What pytest asks of each name in a file of tests, to see whether it is a fixture: no reason to import a framework.
ASKED_BY_PYTEST = {"_mock_name", "__bases__", "__test__", "__wrapped__", "pytestmark"}


class Later(ModuleType):
    """A module that is imported when something of it is first asked for. Reading and setting reach the module itself."""

    def __getattr__(self, name: str) -> Any:
        if name in ASKED_BY_PYTEST and self.__name__ not in sys.modules:
            raise AttributeError(name)
        return getattr(import_module(self.__name__), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(import_module(self.__name__), name, value)


def later(name: str, *, reason: str = "") -> Any:
    """Return the module `name`, to be imported when it is first used.

    Where the package that it belongs to is not installed, the file of tests that asks for it is skipped, for `reason`.
    """
    if find_spec(name.partition(".")[0]) is None:
        pytest.skip(reason or f"{name} is not installed", allow_module_level=True)
    return Later(name)
