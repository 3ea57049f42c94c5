"""The hooks of the controlling process: what the user sees of the sweeps, and their tidy end."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from pytest_hypersearch.archive import Archive, Policy
from pytest_hypersearch.journal import StoreError
from pytest_hypersearch.owner import Owner

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_hypersearch.study import Study
    from pytest_hypersearch.trial import TrialRecord


class Controller:
    """Holds the owner of this session's studies.

    Attributes:
        owner: The owner, with its store in pytest's cache.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        policy = Policy(
            resume=config.option.sweep_resume,
            keep_stale=config.option.sweep_stale == "keep",
            keep_runs=_keep_runs(config),
        )
        self.owner = Owner(
            lambda strategy: config.hook.pytest_hypersearch_sampler(strategy=strategy),
            Archive(self._store_root, policy, _warn),
            self._ended,
        )

    def _store_root(self) -> Path:
        cache = getattr(self._config, "cache", None)
        if cache is None:
            raise OSError("pytest's cache is switched off")
        path: Path = cache.mkdir("hypersearch")
        return path

    def _ended(self, study: Study, record: TrialRecord) -> None:
        """A trial ended."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Close the runs, after the workers are gone."""
        try:
            self.owner.close()
        except StoreError as error:
            _warn(str(error))


def _warn(line: str) -> None:
    warnings.warn(pytest.PytestWarning(line), stacklevel=1)


def _keep_runs(config: pytest.Config) -> int:
    text: str = config.getini("sweep_keep_runs")
    if not text.isdecimal() or int(text) < 1:
        raise pytest.UsageError(f"sweep_keep_runs={text}: expected an integer of at least 1")
    return int(text)
