"""Collection: from the marks of one test to its items, one per trial.

What is collected is a pure function of the source and the command line, so that all workers of a
parallel run collect alike.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, NoReturn

import pytest

from pytest_hypersearch.core.base import has, is_open, names_of
from pytest_hypersearch.core.contracts import Sampler
from pytest_hypersearch.core.errors import SweepError
from pytest_hypersearch.core.secrets import Secrets, secrets_in
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config, Raw
from pytest_hypersearch.plugin.mark.overrides import Overrides, Setting
from pytest_hypersearch.search.samplers import Table

_UNESCAPED: Final = "disable_test_id_escaping_and_forfeit_all_rights_to_community_support"
_unsuited: pytest.StashKey[dict[str, str]] = pytest.StashKey()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Slot:
    """The place of one trial among a test's items; also stands in for values that come late.

    Attributes:
        sweep: The trial's sweep.
        number: Index of its configuration.
        replicate: Index of its replicate.
        id: Its part of the item's id.
        sweeps: All sweeps of the test.
    """

    sweep: Sweep
    number: int
    replicate: int
    id: str
    sweeps: tuple[Sweep, ...]

    def __repr__(self) -> str:
        return self.id


def slot_of(item: pytest.Item) -> Slot | None:
    """The trial that an item runs, None if it runs none."""
    # The mark is the item's own: pytest would search its class, its module and directories as well.
    for mark in item.own_markers:
        if mark.name == "sweep_trial":
            slot: Slot = mark.args[0]
            return slot
    return None


def sweeps_of(metafunc: pytest.Metafunc, overrides: Overrides) -> list[Sweep]:
    """The validated sweeps of a test, in reading order of its marks."""
    if getattr(metafunc.function, "is_hypothesis_test", False):
        _refuse(
            metafunc,
            "sweep: Hypothesis runs a @given test for many inputs, and it may return nothing; "
            "expected a test that calls a @given function within it and returns the score",
        )
    marks = reversed(list(metafunc.definition.iter_markers("sweep")))
    sweeps = [_sweep_of(metafunc, mark, overrides) for mark in marks]
    names = [sweep.name for sweep in sweeps]
    for name in names:
        if names.count(name) > 1:
            _refuse(
                metafunc, f"two sweeps have the name {name!r}; expected a distinct name= for each"
            )
    folder = metafunc.definition.path.parent
    for file in (file for sweep in sweeps for file in sweep.depends_on):
        if not (folder / file).is_file():
            _refuse(metafunc, f"sweep(depends_on={file!r}): expected a file in {folder}")
    return sweeps


def _sweep_of(metafunc: pytest.Metafunc, mark: pytest.Mark, overrides: Overrides) -> Sweep:
    try:
        sweep, problem = overrides.sweep(mark.args, mark.kwargs)
    except SweepError as error:
        _refuse(metafunc, Secrets(secrets_in(mark.kwargs)).masked(str(error)))
    if problem:
        metafunc.config.stash.setdefault(_unsuited, {})[metafunc.definition.nodeid] = problem
    return sweep


class SettingsCheck:
    """Hooks that refuse settings of parameters which the selected tests lack or cannot take.

    Args:
        settings: Those of the command line.
        sharded: Whether other tests run elsewhere: then all that are collected count.
    """

    def __init__(self, settings: Sequence[Setting], *, sharded: bool) -> None:
        self._settings = settings
        self._sharded = sharded

    # Before the tests of other shards are deselected.
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: Sequence[pytest.Item]
    ) -> None:
        """Refuse them in a shard."""
        if self._sharded:
            self._check(config, items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Refuse them before anything is run."""
        if not self._sharded:
            self._check(session.config, session.items)

    def _check(self, config: pytest.Config, items: Iterable[pytest.Item]) -> None:
        unsuited = config.stash.get(_unsuited, {})
        names: dict[str, None] = {}
        for item in items:
            slot = slot_of(item)
            if slot is None or not isinstance(item, pytest.Function) or item.parent is None:
                continue
            test = f"{item.parent.nodeid}::{item.originalname}"
            if test in unsuited:
                raise pytest.UsageError(f"{test}: {unsuited[test]}")
            names |= dict.fromkeys(each for s in slot.sweeps for each in s.arguments)
        for setting in self._settings:
            if setting.name not in names:
                raise pytest.UsageError(f"--sweep-set {setting.shown}: {_lacking(setting, names)}")


def _lacking(setting: Setting, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(setting.name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(names) or 'none'}"
    return f"no selected test has the parameter {setting.name!r}; {hint}"


def parametrize_trials(metafunc: pytest.Metafunc, sweeps: Sequence[Sweep]) -> None:
    """Make an item for each trial of the sweeps."""
    argnames = _argnames(metafunc, sweeps)
    grids = [sweep.name for sweep in sweeps if sweep.strategy == "grid"]
    params = []
    once = _once(metafunc)
    mark = pytest.mark.sweep_trial
    for sweep in sweeps:
        plain = grids == ["grid"]
        limit = _time_limit(metafunc, sweep)
        trials = _slots(metafunc, sweep, tuple(sweeps), argnames, prefixed=not plain)
        for text, slot, values in trials:
            marks = [mark.with_args(slot), *limit, *once]
            params.append(pytest.param(*values, id=text, marks=marks))
    _parametrize(metafunc, sweeps, argnames, params)


def _once(metafunc: pytest.Metafunc) -> list[pytest.MarkDecorator]:
    """Marks by which plugins that repeat tests or move them elsewhere run a trial once, here."""
    config = metafunc.config
    forked = config.getoption("forked", None)
    if forked or (forked is False and metafunc.definition.get_closest_marker("forked")):
        _refuse(
            metafunc,
            "pytest-forked runs trials in processes whose results do not come back; "
            "expected sweep(isolate=True), without --forked and the mark forked",
        )
    if not config.pluginmanager.hasplugin("_run-parallel"):
        return []
    return [pytest.mark.force_parallel_threads(1), pytest.mark.iterations(1)]


def _time_limit(metafunc: pytest.Metafunc, sweep: Sweep) -> list[pytest.MarkDecorator]:
    """The mark by which pytest-timeout ends a sweep's trials."""
    if sweep.timeout is None:
        return []
    if not metafunc.config.pluginmanager.hasplugin("timeout"):
        _refuse(
            metafunc,
            f"sweep(timeout={sweep.timeout:g}): requires pytest-timeout; "
            "run pip install pytest-timeout",
        )
    return [pytest.mark.timeout(sweep.timeout)]


def parametrize_checked(
    metafunc: pytest.Metafunc, sweeps: Sequence[Sweep], replicates: Callable[[Sweep], Iterable[int]]
) -> None:
    """Make an item for each replicate by which the baseline's best configuration is judged.

    Which configuration that is depends on the study, so it comes late.
    """
    gated = [sweep for sweep in sweeps if any(gate.bound is None for gate in sweep.gates)]
    if not gated:
        parametrize_skipped(metafunc, sweeps, reason="has no gate that compares with a baseline")
        return
    argnames = _argnames(metafunc, sweeps)
    wanted = {sweep.name: sorted(replicates(sweep)) or [0] for sweep in gated}
    checked = tuple(_checked(sweep, wanted[sweep.name][-1] + 1) for sweep in gated)
    params = []
    for sweep in checked:
        for replicate in wanted[sweep.name]:
            stem = f"{sweep.name}-" if len(checked) > 1 else ""
            slot = Slot(sweep, 0, replicate, f"{stem}check-r{replicate}", checked)
            marks = [pytest.mark.sweep_trial(slot), *_time_limit(metafunc, sweep)]
            marks += _once(metafunc)
            params.append(pytest.param(*[slot] * len(argnames), id=slot.id, marks=marks))
    _parametrize(metafunc, sweeps, argnames, params)


def _checked(sweep: Sweep, replicates: int) -> Sweep:
    """A sweep of one configuration, whatever depends on others left out."""
    sweep = replace(
        sweep, strategy="check", points=(), start_from="", n_trials=1, replicates=replicates
    )
    return replace(sweep, race=False, at_least=None, prune=None, stop=None, parallel=None)


def parametrize_skipped(
    metafunc: pytest.Metafunc, sweeps: Sequence[Sweep], reason: str = "needs --sweep"
) -> None:
    """Make one skipped item for each sweep."""
    argnames = _argnames(metafunc, sweeps)
    skip = pytest.mark.skip(reason=reason)
    _parametrize(
        metafunc,
        sweeps,
        argnames,
        [
            pytest.param(*[None] * len(argnames), id=f"sweep-{sweep.name}", marks=skip)
            for sweep in sweeps
        ],
    )


def parametrize_smoke(metafunc: pytest.Metafunc, sweeps: Sequence[Sweep]) -> None:
    """Make one item for the test, at the centre of its first sweep's space."""
    centre = sweeps[0].space.centre()
    sweep = replace(sweeps[0], points=(centre,), n_trials=1, replicates=1, race=False)
    # Whatever depends on other trials, or on a machine that a quick check may run without.
    sweep = replace(sweep, prune=None, stop=None, parallel=None, resources=None, retries=0)
    sweep = replace(sweep, start_from="")
    argnames = _argnames(metafunc, sweeps)
    values = sweep.space.decode(centre)
    slot = Slot(sweep, 0, 0, "sweep-smoke", (sweep,))
    mark = pytest.mark.sweep_trial(slot)
    param = pytest.param(*[values.get(name) for name in argnames], id=slot.id, marks=mark)
    _parametrize(metafunc, sweeps, argnames, [param])


def _parametrize(
    metafunc: pytest.Metafunc,
    sweeps: Sequence[Sweep],
    argnames: Sequence[str],
    params: Sequence[object],
) -> None:
    metafunc.parametrize(
        argnames,
        params,
        indirect=[name for name in argnames if name in sweeps[0].indirect],
        scope=sweeps[0].scope,
    )


def _slots(
    metafunc: pytest.Metafunc,
    sweep: Sweep,
    sweeps: tuple[Sweep, ...],
    argnames: Sequence[str],
    *,
    prefixed: bool,
) -> Iterator[tuple[str, Slot, Sequence[object]]]:
    """Ids, slots and argument values of trials; values that come late are the slot itself."""
    sampler = sampler_of(metafunc, sweep)
    if sweep.strategy == "grid":
        configs = Table(sampler, sweep).upto(sweep.n_trials)
        stem = f"{sweep.name}-" if prefixed else ""
        ids = [f"{stem}{text}" for text in _grid_ids(configs)]
        decoded = map(sweep.space.decode, configs)
        values = [[config.get(name) for name in argnames] for config in decoded]
    else:
        ids = [f"{sweep.name}-{number:03d}" for number in range(sweep.n_trials)]
        values = []
    escapes = not metafunc.config.getini(_UNESCAPED)
    for number in range(sweep.n_trials):
        for replicate in range(sweep.replicates):
            suffix = f"-r{replicate}" if sweep.replicates > 1 else ""
            text = ids[number] + suffix
            own = _escaped(text) if escapes else text
            slot = Slot(sweep, number, replicate, own, sweeps)
            yield text, slot, values[number] if values else [slot] * len(argnames)


def sampler_of(metafunc: pytest.Metafunc, sweep: Sweep) -> Sampler:
    """The sampler that answers to the sweep's strategy."""
    try:
        sampler: Sampler | None = metafunc.config.hook.pytest_hypersearch_sampler(
            strategy=sweep.strategy
        )
    except ValueError as error:
        _refuse(metafunc, f"sweep(strategy={sweep.strategy!r}): {error}")
    if sampler is None:
        _refuse(
            metafunc,
            f"sweep(strategy={sweep.strategy!r}): expected grid, random, bayes, "
            "optuna:... or a strategy of a plugin",
        )
    return sampler


def _argnames(metafunc: pytest.Metafunc, sweeps: Sequence[Sweep]) -> list[str]:
    """Parameters that the test or its fixtures take by name."""
    first, *others = sweeps
    for other in others:
        if set(other.arguments) != set(first.arguments):
            _refuse(
                metafunc,
                f"sweeps {first.name!r} and {other.name!r} have different parameters "
                f"({', '.join(first.arguments)} and {', '.join(other.arguments)}); "
                "expected the same in all sweeps of a test",
            )
        if (other.scope, other.indirect) != (first.scope, first.indirect):
            _refuse(
                metafunc,
                f"sweeps {first.name!r} and {other.name!r} differ in scope= or indirect=; "
                "expected the same in all sweeps of a test",
            )
    signature = inspect.signature(metafunc.function).parameters
    argnames = []
    for name in first.arguments:
        if name in metafunc.fixturenames or name in signature:
            argnames.append(name)
        elif "trial" not in metafunc.fixturenames:
            _refuse(
                metafunc,
                f"sweep({first.strategy}=...): neither the test nor its fixtures take {name!r}; "
                "expected an argument of this name, or the trial fixture, for trial.params",
            )
        elif not (
            first.base is None or is_open(first.base) or has(first.base, tuple(name.split(".")))
        ):
            near = difflib.get_close_matches(name, [*names_of(first.base)], n=1)
            hint = f"did you mean {near[0]}?" if near else "expected one of the two"
            _refuse(
                metafunc,
                f"sweep({first.strategy}=...): base= has no {name!r}, and neither the test nor its "
                f"fixtures take it; {hint}",
            )
    return argnames


def _grid_ids(configs: Sequence[Config]) -> list[str]:
    """``lr:0.01-momentum:0.9`` for each configuration, unique."""
    rows = [[(name, type(value), value) for name, value in config.items()] for config in configs]
    texts = {key: _slug(key[2]) for key in dict.fromkeys(chain.from_iterable(rows))}
    counts = Counter((name, text) for (name, _, _), text in texts.items())
    for key, text in texts.items():
        if counts[key[0], text] > 1:
            texts[key] = _slug(key[2], exact=True)
    parts = {key: f"{_plain(key[0])}:{text}" for key, text in texts.items()}
    ids = ["-".join([parts[key] for key in row]) for row in rows]
    if len(set(ids)) == len(ids):
        return ids
    repeated = {text for text, count in Counter(ids).items() if count > 1}
    numbered = [f"{text}-{number:03d}" for number, text in enumerate(ids)]
    some = [
        longer if text in repeated else text for text, longer in zip(ids, numbered, strict=True)
    ]
    return some if len(set(some)) == len(some) else numbered


def _slug(value: Raw, *, exact: bool = False) -> str:
    """The value as a short text of plain characters, by their codes if it has none."""
    text = repr(value) if exact or not isinstance(value, float) else f"{value:g}"
    codes = (f"x{ord(character):x}" for character in str(value))
    return _plain(text).strip("_") or "-".join(codes) or "empty"


def _plain(text: str) -> str:
    """The text in characters that ``-k`` and the shell take as they are, and beyond ASCII all."""
    return re.sub(r"[^\w.+\-\x80-\U0010ffff]+", "_", text, flags=re.ASCII)


def _escaped(text: str) -> str:
    """The id that pytest makes of a text: with escapes beyond ASCII."""
    return text.encode("unicode_escape").decode("ascii")


def find_by_text(item: pytest.Item) -> None:
    """Let ``-k`` find an item whose id has escapes by the text that was escaped, too."""
    item.extra_keyword_matches.add(item.name.encode().decode("unicode_escape"))


def _refuse(metafunc: pytest.Metafunc, problem: str) -> NoReturn:
    message = f"{metafunc.definition.nodeid}: {problem}"
    # Without a cause, or pytest would show one error as two.
    raise pytest.fail.Exception(message, pytrace=False) from None
