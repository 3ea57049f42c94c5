"""Warm starts: a sweep begins with the best configurations of a stored run.

They become the sweep's points, and are recorded with it. A resume takes what was recorded, so that
it agrees with the session that it continues, whatever has been stored since then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.study import StudyResults, called
from pytest_hypersearch.core.sweep import Prior, Sweep
from pytest_hypersearch.core.trial import Config
from pytest_hypersearch.stats.grouping import FAILURES
from pytest_hypersearch.stats.ranking import Ranking, rank_study
from pytest_hypersearch.store.find import choose
from pytest_hypersearch.store.reader import read_run, read_stored
from pytest_hypersearch.store.runs import Run

_MOST_POINTS = 5
_MOST_PRIOR = 100
_RUN = re.compile(r"@([^@\[\]/:]+)$")


class WarmStart:
    """Gives sweeps the points of the stored runs that they start from.

    Args:
        studies: Returns the stored runs of every study, oldest first.
        resume: Whether the session continues earlier runs.
    """

    def __init__(
        self,
        studies: Callable[[], Mapping[str, Sequence[Run]]],
        *,
        resume: bool,
    ) -> None:
        self._studies = studies
        self._resume = resume

    def __call__(self, nodeid: str, sweep: Sweep) -> tuple[Sweep, str]:
        """Return a study's sweep with its points, or the same with a note on why it has none."""
        if not sweep.start_from:
            return sweep, ""
        studies = self._studies()
        recorded = _recorded(studies.get(nodeid, ()), sweep) if self._resume else None
        if recorded is not None:
            points = recorded.points[: sweep.n_trials]
            return replace(sweep, points=points, prior=recorded.prior), ""
        try:
            return _started(sweep, _source(studies, nodeid, sweep.start_from)), ""
        except (LookupError, StoreError, ValueError) as error:
            return sweep, f"{nodeid}: points={sweep.start_from!r} gave none: {error}"


def _recorded(runs: Iterable[Run], sweep: Sweep) -> Sweep | None:
    """Return the sweep as the newest run has it that started from the same; None without one."""
    for run in reversed([*runs]):
        try:
            sweeps = read_stored(run).sessions[-1].sweeps
        except StoreError:
            continue
        for each in sweeps:
            alike = each.name == sweep.name and each.space == sweep.space
            if alike and each.start_from == sweep.start_from and each.points:
                return each
    return None


def _source(studies: Mapping[str, Sequence[Run]], nodeid: str, text: str) -> StudyResults:
    """Read the run that a text names; of several tests that of the same arguments.

    Raises:
        LookupError, StoreError, ValueError: There is none, or it cannot be read.
    """
    match = _RUN.search(text)
    name, number = (text[: match.start()], match[1]) if match else (text, None)
    names = called(studies, name)
    bracket = nodeid.partition("[")[2]
    alike = [each for each in names if each == nodeid]
    alike = alike or [each for each in names if each.partition("[")[2] == bracket]
    if len(alike or names) > 1:
        raise LookupError(f"several tests are called so: {', '.join(alike or names)}")
    runs = choose(studies[(alike or names)[0]], number) if names else []
    if not runs:
        raise LookupError("there is no such stored run")
    return read_run(runs[-1])


def _started(sweep: Sweep, study: StudyResults) -> Sweep:
    """Return a sweep with the best configurations of a study that are in its space.

    Raises:
        LookupError: None are.
    """
    rankings = [ranking for ranking in rank_study(study).rankings if ranking]
    alike = [ranking for ranking in rankings if ranking.sweeps[0].goals == sweep.goals]
    ranking = next(iter(alike or rankings), None)
    if ranking is None:
        raise LookupError("the stored run has no scores")
    points: dict[str, Config] = {}
    for one in ranking.feasible:
        config = _projected(sweep.space, one.trials[0].params)
        if config is not None:
            points.setdefault(sweep.space.key(config), config)
    if not points:
        raise LookupError("none of its configurations is in the search space")
    most = max(1, min(_MOST_POINTS, sweep.n_trials // 4))
    prior = _prior(sweep, study, ranking) if alike else ()
    return replace(sweep, points=tuple(points.values())[:most], prior=prior)


def _projected(space: Space, params: Config) -> Config | None:
    """The configuration of a space that has the values of another one; None if there is none."""
    for branch in space.branches:
        config = {name: params[name] for name in branch if name in params}
        if space.contains(config):
            return config
    return None


def _prior(sweep: Sweep, study: StudyResults, ranking: Ranking) -> tuple[Prior, ...]:
    """The results that inform a sampler of one metric, failures included; of many, some evenly."""
    if sweep.others or sweep.constraints or sweep.strategy == "random":
        return ()
    names = {one.name for one in ranking.sweeps}
    failed = (
        Prior(trial.params, ())
        for trial in study.trials
        if trial.sweep in names and trial.state in FAILURES
    )
    scored = (Prior(one.trials[0].params, one.scores) for one in ranking)
    prior: dict[str, Prior] = {}
    for each in (*scored, *failed):
        if sweep.space.contains(each.params):
            prior.setdefault(sweep.space.key(each.params), each)
    size = sweep.space.size
    if size is not None and size < len(prior) + sweep.n_trials:
        return ()  # what is known is not proposed again
    best, rest = [*prior.values()][:_MOST_POINTS], [*prior.values()][_MOST_POINTS:]
    few = min(len(rest), _MOST_PRIOR - _MOST_POINTS)
    return (*best, *(rest[i * len(rest) // few] for i in range(few)))
