"""Where stored runs are found: pytest's cache of a project, or a directory that the user names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Final, TypeAlias

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.core.study import StudyResults, called, some
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Key, State, TrialRecord
from pytest_hypersearch.store.annotations import Annotation, annotated, joined, readable_annotations
from pytest_hypersearch.store.reader import (
    StoredRun,
    is_whole,
    outline_of,
    read_run,
    read_stored,
    stored_key,
)
from pytest_hypersearch.store.runs import Run, age, is_run, outdated, runs_of, study_dirs
from pytest_hypersearch.store.verdicts import with_verdicts

STORE: Final = Path("d", "hypersearch")
_DEFAULT: Final = ".pytest_cache"


def project_studies(start: Path) -> list[list[Run]]:
    """Find the nearest project, from a directory upwards, whose cache has runs.

    Args:
        start: The directory to begin with.

    Returns:
        The runs of each study, oldest first; nothing if there is none.
    """
    for folder in (start, *start.parents):
        if studies := _in_cache(folder / _cache_dir(folder)):
            return studies
    return []


def studies_at(path: Path) -> list[list[Run]]:
    """Find the runs below a directory, by study.

    Args:
        path: A run, a study, a store, a cache of pytest's, or the directory of a project.

    Returns:
        The runs of each study, oldest first; nothing if the path is none of these.
    """
    if is_run(path):
        return [[Run(path)]]
    if runs := runs_of(path):
        return [runs]
    inside = _in_cache(path) or _in_cache(path / _cache_dir(path))
    return inside or _by_study(path)


def _in_cache(cache: Path) -> list[list[Run]]:
    return _by_study(cache / STORE)


def _by_study(store: Path) -> list[list[Run]]:
    return [runs for study in study_dirs(store) if (runs := runs_of(study))]


def stored_studies(store: Path) -> dict[str, list[Run]]:
    """Return the runs of each study in a store by node id, oldest first."""
    return {runs[-1].nodeid: runs for runs in _by_study(store)}


def newest(runs: Sequence[Run], wanted: Collection[Key] = ()) -> Run:
    """Return the run of a study that is meant unless another one is asked for.

    It is the newest whose whole plan was selected: a session that runs a few trials does not take
    the place of one that ran all. If there is none, it is the newest.

    Args:
        runs: The study's runs, oldest first; at least one.
        wanted: Trials; a newer run that has them all will do, whatever was selected.
    """
    return next((run for run in reversed(runs) if is_whole(run) or _has(run, wanted)), runs[-1])


def removable(runs: Iterable[Path], keep: int) -> list[Path]:
    """Return the runs of a study that are neither among the newest ``keep`` nor `spared`."""
    paths = sorted(runs, key=age)
    old = outdated(paths, keep)
    stay = spared([*map(Run, paths)], keep) if old else set()
    return [path for path in old if path not in stay]


def spared(runs: Sequence[Run], keep: int) -> set[Path]:
    """Return the old runs of a study that are kept all the same.

    These are the run that `newest` tells, the newest run of each name, those with tags or a note of
    their own, and those that hold files of trials of runs that are kept.

    Args:
        runs: All of them, oldest first.
        keep: How many of the newest are kept in any case.
    """
    contents = {run.path.name: stored for run, stored in _outlines(runs)}
    named = {name: run for run, stored in contents.items() for name in stored.names}
    noted = {run.path.name for run in runs if None in readable_annotations(run)}
    stay = {*named.values(), *noted, newest(runs).path.name}
    stay |= {run.path.name for run in runs[-keep:]}
    todo = [*stay]
    while todo:
        run = todo.pop()
        new = contents[run].origins - stay if run in contents else set()
        stay |= new
        todo += new
    return {run.path for run in runs if run.path.name in stay}


def _has(run: Run, wanted: Collection[Key]) -> bool:
    return bool(wanted) and {trial.key for trial in read_stored(run).trials}.issuperset(wanted)


def _cache_dir(folder: Path) -> str:
    """Return pytest's ``cache_dir`` as far as the project's files tell."""
    for settings in _settings(folder):
        if isinstance(found := settings.get("cache_dir"), str):
            return found
    return _DEFAULT


def is_test_file(file: Path, run: Path) -> bool:
    """Tell whether pytest, in the working directory, collects tests from a file.

    Args:
        file: A path relative to the working directory.
        run: Directory of a run; files of its cache are no tests, whatever they are called.
    """
    if file.is_absolute() or any(part.startswith(".") for part in file.parts):
        return False
    store = run.resolve().parent.parent
    cache = store.parents[1] if store.parts[-2:] == STORE.parts else store
    named = any(file.match(pattern) for pattern in _test_files(Path.cwd()))
    return named and file.is_file() and not file.resolve().is_relative_to(cache)


def _test_files(folder: Path) -> Sequence[str]:
    """Return pytest's ``python_files`` as far as the project's files tell."""
    for settings in _settings(folder):
        files = settings.get("python_files")
        if files:
            return files.split() if isinstance(files, str) else [*map(str, files)]  # type: ignore[call-overload]
    return "test_*.py", "*_test.py"


def _settings(folder: Path) -> Iterator[Mapping[str, object]]:
    """Yield pytest's settings in a directory, in the order in which pytest looks for them."""
    for name in ("pytest.toml", ".pytest.toml"):
        yield _toml(folder / name, "pytest")
    for name in ("pytest.ini", ".pytest.ini"):
        yield _ini(folder / name, "pytest")
    yield _toml(folder / "pyproject.toml", "tool", "pytest")
    yield _toml(folder / "pyproject.toml", "tool", "pytest", "ini_options")
    yield _ini(folder / "tox.ini", "pytest")
    yield _ini(folder / "setup.cfg", "tool:pytest")


def _toml(file: Path, *keys: str) -> Mapping[str, object]:
    import tomllib

    try:
        table: object = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}


def _ini(file: Path, section: str) -> Mapping[str, object]:
    from configparser import ConfigParser, Error

    parser = ConfigParser(interpolation=None)
    try:
        parser.read(file, encoding="utf-8")
    except (Error, ValueError):
        return {}
    return dict(parser[section]) if section in parser else {}


def merge(parts: Sequence[StudyResults]) -> StudyResults:
    """Put results of one study together, of which each has some of the trials.

    Of a trial that several have, the one that got furthest counts: complete before pruned or
    failed ones, these before those that did not run; the latest of equal ones.

    Args:
        parts: Results whose sweeps are alike, see `mergeable`.
    """
    merged: dict[tuple[Key, str], TrialRecord] = {}
    for trial in (trial for part in parts for trial in part.trials):
        who = trial.key, config_key(trial.params)
        if who not in merged or _standing(trial) >= _standing(merged[who]):
            merged[who] = trial
    numbers = _numbers(merged)
    trials = [
        trial
        if (number := numbers[key[:2], config]) == trial.number
        else replace(trial, number=number, recorded=stored_key(trial).number)
        for (key, config), trial in merged.items()
    ]
    sweeps = _sweeps(parts)
    places = {name: index for index, name in enumerate(sweeps)}
    return replace(
        parts[0],
        sweeps=tuple(max(origins, key=lambda sweep: sweep.elapsed) for origins in sweeps.values()),
        trials=tuple(sorted(trials, key=lambda t: (places[t.sweep], t.number, t.replicate))),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        **joined(Annotation(part.tags, part.note) for part in parts)._asdict(),
    )


def _numbers(found: Iterable[tuple[Key, str]]) -> dict[tuple[tuple[str, int], str], int]:
    """Give each configuration a number of its own; of several with the same the first keeps it."""
    owners: dict[tuple[str, int], str] = {}
    last: dict[str, int] = {}
    for key, config in found:
        owners.setdefault(key[:2], config)
        last[key.sweep] = max(last.get(key.sweep, 0), key.number)
    numbers = {(index, config): index[1] for index, config in owners.items()}
    for key, config in found:
        if (key[:2], config) not in numbers:
            last[key.sweep] += 1
            numbers[key[:2], config] = last[key.sweep]
    return numbers


def mergeable(parts: Iterable[StudyResults]) -> list[list[StudyResults]]:
    """Put those results together that are of one study and searched the same.

    Each may have some of the study's sweeps; those that several have must be alike.
    """
    groups: list[list[StudyResults]] = []
    for part in parts:
        group = next((group for group in groups if _fits(part, group)), None)
        if group is None:
            groups.append([part])
        else:
            group.append(part)
    return groups


def _fits(part: StudyResults, group: Sequence[StudyResults]) -> bool:
    return part.nodeid == group[0].nodeid and all(
        len(set(map(_searched, sweeps))) == 1 for sweeps in _sweeps([*group, part]).values()
    )


def _searched(sweep: Sweep) -> tuple[object, ...]:
    """What must be equal for two sweeps to have searched the same."""
    what = sweep.strategy, sweep.space, sweep.seed, sweep.n_trials, sweep.replicates
    return *what, sweep.goals, sweep.constraints, sweep.pick, sweep.group_by


def _sweeps(parts: Iterable[StudyResults]) -> dict[str, list[Sweep]]:
    """The sweeps of several results by name."""
    sweeps: dict[str, list[Sweep]] = {}
    for sweep in (sweep for part in parts for sweep in part.sweeps):
        sweeps.setdefault(sweep.name, []).append(sweep)
    return sweeps


def _standing(trial: TrialRecord) -> tuple[int, float]:
    idle = trial.state in {State.NOT_RUN, State.RACED_OUT, State.RUNNING}
    rank = 2 if trial.state is State.COMPLETE else 0 if idle else 1
    return rank, trial.started or 0.0


Source: TypeAlias = "str | PathLike[str]"
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_COMMIT = re.compile(r"[0-9a-f]{4,40}")
_NAME = re.compile(r"(?!-|[0-9]+$|all$)[A-Za-z0-9._-]{1,80}")


class NothingStoredError(LookupError):
    """There is no stored run of the kind that is asked for."""


@frozen
class Loaded:
    """Results of a study and the directories of the runs that they come from."""

    results: StudyResults
    runs: tuple[Path, ...]


def load(sources: Sequence[Source], run: int | str | None) -> tuple[list[Loaded], list[str]]:
    """Read stored runs.

    Args:
        sources: Paths or tests; the project around the working directory if there is none.
        run: Which run of each study; see `pytest_hypersearch.load_results`.

    Returns:
        The studies by node id, and a line on each run that could not be read.

    Raises:
        NothingStoredError: There are no such runs.
        StoreError: There are, but none of them can be read.
        ValueError: ``run`` makes no sense.
    """
    places = _places(sources)
    loaded, problems = [], []
    for runs in (runs for studies in places for runs in studies):
        for chosen in choose(runs, run):
            try:
                results = with_verdicts(annotated(read_run(chosen), chosen), chosen)
            except (StoreError, ValueError) as error:
                problems.append(str(error))
            else:
                newer = _newer_parts(runs, chosen) if run is None else ()
                results = replace(results, notes=(*results.notes, *newer))
                loaded.append(Loaded(results, (chosen.path,)))
    if problems and not loaded:
        raise StoreError(problems[0])
    if not loaded:
        names = some(runs[-1].nodeid for studies in places for runs in studies)
        raise NothingStoredError(f"there is no run {run} of {names}")
    if len(places) > 1 and run != "all":
        loaded = _merged(loaded)
    return sorted(loaded, key=lambda each: (each.results.nodeid, each.runs)), problems


def _newer_parts(runs: Sequence[Run], chosen: Run) -> Iterator[str]:
    """Name the runs that are passed over although they are newer."""
    for run in runs[runs.index(chosen) + 1 :]:
        number = int(run.path.name)
        yield f"run {number} is newer, but only some of its trials were selected: see @{number}"


def studies_of(sources: Sequence[Source]) -> list[list[Run]]:
    """Find the runs of each study that paths or tests stand for, oldest first.

    Raises:
        NothingStoredError: There are none.
    """
    return [runs for studies in _places(sources) for runs in studies]


def _places(sources: Sequence[Source]) -> list[list[list[Run]]]:
    return [_studies(source) for source in sources] or [_project()]


def is_name(text: str) -> bool:
    """Tell whether a run may be called so.

    A name has letters, digits, ``.``, ``_`` and ``-``; it does not begin with ``-``, is not a
    number, and is not ``all``.
    """
    return _NAME.fullmatch(text) is not None


def split_run(what: str) -> tuple[str, str | None]:
    """Split ``WHAT@RUN`` into a test or path and the run that is asked for, if one is."""
    name, at, run = what.rpartition("@")
    if at and (_NUMBER.fullmatch(run) or run == "all" or is_name(run)) and not Path(what).exists():
        return name, run
    return what, None


def choose(runs: Sequence[Run], run: int | str | None) -> Sequence[Run]:
    """Return those runs of a study that are asked for.

    Args:
        runs: All of them, oldest first; at least one.
        run: None for the one that `newest` tells, ``"all"``, a run's number, -1 for the newest, -2
            for the one before and so on, a run's name, or the beginning of a commit that it ran. Of
            several with the name or the commit the newest.

    Raises:
        ValueError: It is none of these.
    """
    if run is None:
        return [newest(runs)]
    text = str(run)
    if text == "all":
        return runs
    if _NUMBER.fullmatch(text):
        number = int(text)
        if number < 0:
            return runs[number : number + 1 or None] if -number <= len(runs) else []
        chosen = [one for one in runs if one.path.name.lstrip("0") == str(number)]
        if chosen or not _COMMIT.fullmatch(text):
            return chosen
    elif not is_name(text):
        raise ValueError(
            f"run {text!r}: expected all, a number, a name, or the beginning of a commit"
        )
    stored = [*_outlines(runs)]
    named = [each for each, one in stored if text in one.names]
    ran = [each for each, one in stored if any(commit.startswith(text) for commit in one.commits)]
    return (named or (ran if _COMMIT.fullmatch(text) else []))[-1:]


def _outlines(runs: Iterable[Run]) -> Iterator[tuple[Run, StoredRun]]:
    """Yield the runs that can be read with their sessions."""
    for run in runs:
        with suppress(StoreError):
            yield run, outline_of(run)


def _studies(source: Source) -> list[list[Run]]:
    """The runs of each study that a path or test stands for."""
    path = Path(source)
    if path.is_dir() or path.name == "journal.jsonl":
        folder = path if path.is_dir() else path.parent
        if studies := studies_at(folder):
            return studies
        raise NothingStoredError(
            f"{path}: there are no stored runs in it; run pytest --sweep first"
        )
    studies = _project()
    nodeids = {runs[-1].nodeid: runs for runs in studies}
    if found := called(nodeids, str(source)):
        return [nodeids[nodeid] for nodeid in found]
    raise NothingStoredError(f"{source}: no such path or test; there are runs of {some(nodeids)}")


def _project() -> list[list[Run]]:
    here = Path.cwd()
    studies = project_studies(here)
    if not studies:
        raise NothingStoredError(
            f"there are no stored runs in {here} or above; run pytest --sweep first"
        )
    return studies


def _merged(loaded: Sequence[Loaded]) -> list[Loaded]:
    paths = {id(each.results): each.runs for each in loaded}
    return [
        Loaded(merge(parts), tuple(path for part in parts for path in paths[id(part)]))
        for parts in mergeable(each.results for each in loaded)
    ]
