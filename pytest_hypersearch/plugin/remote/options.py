"""The options that say where workers run, and what they mean for xdist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_hypersearch.plugin import setting
from pytest_hypersearch.plugin.remote.command import CommandLauncher
from pytest_hypersearch.plugin.remote.ray import RayLauncher

if TYPE_CHECKING:
    from pytest_hypersearch.plugin.remote.protocol import Launcher


def launch(config: pytest.Config) -> Launcher:
    """Prepare to start workers as ``--sweep-on`` says, and let xdist distribute to them.

    Raises:
        pytest.UsageError: It cannot be done, or not together with other options.
    """
    given: list[str] = config.option.sweep_on
    beside = {"--pdb": config.option.usepdb, "-n 0": config.option.numprocesses == 0}
    for option in (option for option, is_set in beside.items() if is_set):
        raise pytest.UsageError(f"--sweep-on={given[0]}: cannot be combined with {option}")
    try:
        launcher = _launcher(given)
    except ValueError as error:
        raise pytest.UsageError(f"--sweep-on={given[0]}: {error}") from None
    count = config.option.numprocesses or launcher.fitting()
    # Of xdist's kinds this one takes arguments as they are, and copies nothing.
    config.option.tx = ["popen"] * count
    if config.option.dist == "no":
        config.option.dist = "load"
    return launcher


def _launcher(given: list[str]) -> Launcher:
    engine, _, address = given[0].partition(":")
    if engine != "ray":
        return CommandLauncher(given)
    if len(given) > 1:
        raise ValueError("expected no other --sweep-on beside it")
    try:
        return RayLauncher(address)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}; install pytest-hypersearch[ray]") from None


def shipped_names(config: pytest.Config) -> list[str]:
    """Return the names of variables that ``--sweep-env`` and the configuration file give."""
    given = [*setting(config, "sweep_env"), *(config.option.sweep_env or [])]
    return [name.strip() for text in given for name in text.split(",") if name.strip()]
