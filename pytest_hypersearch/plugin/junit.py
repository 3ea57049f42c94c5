"""JUnit XML: what test cases tell of their trials, and the suite of the best."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest
from _pytest.junitxml import bin_xml_escape, xml_key

from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import TrialRecord
from pytest_hypersearch.stats.ranking import rank_study

if TYPE_CHECKING:  # see `pytest_hypersearch.engine.link`
    from pytest_hypersearch.engine.owner import Owner

PREFIX: Final = "hypersearch."


def wants_junit(config: pytest.Config) -> bool:
    """Whether this session, or that of which this process is a worker, writes JUnit XML."""
    return bool(getattr(config.option, "xmlpath", None))


def note_properties(item: pytest.Item, record: TrialRecord) -> None:
    """Let the test case of a trial's item tell of the trial."""
    score = {} if record.score is None else {"score": repr(record.score)}
    values = {
        "state": str(record.state),
        **score,
        "params": json.dumps(record.params),
        "replicate": str(record.replicate),
    }
    # The item may have run before: a plugin repeats those that fail.
    others = [each for each in item.user_properties if not each[0].startswith(PREFIX)]
    item.user_properties[:] = others + [(f"{PREFIX}{name}", text) for name, text in values.items()]


class SuiteProperties:
    """Hooks of the controlling process: the best of each study, as properties of the suite."""

    def __init__(self, config: pytest.Config, owner: Owner) -> None:
        self._config = config
        self._owner = owner

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Add the properties before pytest writes its file."""
        xml = self._config.stash.get(xml_key, None)
        if xml is not None:
            for results in self._owner.results():
                for name, value in _of_study(results):
                    # pytest escapes what XML cannot hold in values, but not in names
                    xml.add_global_property(bin_xml_escape(name), value)


def _of_study(results: StudyResults) -> Iterator[tuple[str, str]]:
    ranked = rank_study(results)
    for sweep in results.sweeps:
        head = f"{PREFIX}{results.nodeid}.{sweep.name}"
        best = ranked.of(sweep).best
        if best is not None:
            yield f"{head}.best.{sweep.metric}", repr(best.score)
            yield f"{head}.best.params", json.dumps(best.params)
            yield f"{head}.best.trial", best.trial.nodeid
