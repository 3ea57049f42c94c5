"""The pytest plugin: options, marks, fixtures and the registration of its parts.

Every pytest session imports this module, with or without sweeps: it imports what pytest has loaded.
"""

from __future__ import annotations

import gc
import sys
from argparse import ArgumentTypeError
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_hypersearch.plugin import hookspecs, setting

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from importlib.machinery import ModuleSpec

    from pytest_hypersearch.core.contracts import Sampler
    from pytest_hypersearch.plugin.fixtures import Sweeps, Trial
    from pytest_hypersearch.plugin.mark.overrides import Setting
    from pytest_hypersearch.plugin.runner.runner import Runner


MODES = ("run", "smoke", "check", "skip")
SWEEP_MARK = (
    "sweep(grid=..., random=..., bayes=..., n_trials=..., metric=..., mode=..., seed=..., "
    "replicates=..., ...): run the test once for each configuration of a search space, with "
    "--sweep; see pytest_hypersearch.sweep for the arguments."
)
TRIAL_MARK = "sweep_trial(slot): the trial of a sweep that an item runs; set by the plugin."

_USAGE = "hypersearch_usage"

_runner: pytest.StashKey[Runner | None] = pytest.StashKey()
_swept: pytest.StashKey[list[pytest.Item]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options share the prefix ``--sweep``, keys of the configuration file ``sweep_``."""
    group = parser.getgroup("sweep", "hyperparameter sweeps")
    group.addoption(
        "--sweep",
        nargs="?",
        const="run",
        metavar="run|smoke|check|skip",
        help="run: run the sweeps (default of --sweep without a value); smoke: run each swept test "
        "once, at the centre of its search space; check: run the best configuration of the "
        "baseline with some of its seeds, and judge gates by it; skip: skip swept tests (default "
        "without --sweep)",
    )
    group.addoption(
        "--sweep-resume",
        action="store_true",
        help="continue the newest run of each study, or begin a new one if its sweep or code has "
        "changed: replay finished trials, and run those that failed, are missing or are stale; "
        "implies --sweep",
    )
    group.addoption(
        "--sweep-rerun",
        action="store_true",
        help="like --sweep-resume, but run the selected trials again even if they are finished, "
        "with the configurations that they had; implies --sweep",
    )
    group.addoption(
        "--sweep-stale",
        choices=("rerun", "keep"),
        default="rerun",
        help="when resuming, run trials again whose code or packages have changed since (rerun, "
        "the default) or replay them (keep)",
    )
    group.addoption(
        "--sweep-name",
        type=_run_name,
        metavar="NAME",
        help="name the session's runs: test@NAME finds them in commands and load_results, and they "
        "are kept until a newer run has the name",
    )
    group.addoption(
        "--sweep-shard",
        type=_shard,
        metavar="I/N",
        help="run part I of N of the sweeps' trials, such as 2/4; pytest-hypersearch merge makes "
        "one run of all parts",
    )
    group.addoption(
        "--sweep-trials",
        type=partial(_integer, least=1),
        metavar="N",
        help="number of configurations per sweep; overrides n_trials of the marks, and leaves "
        "grids as they are",
    )
    group.addoption(
        "--sweep-seed",
        type=partial(_integer, least=0),
        metavar="N",
        help="seed of all sweeps; overrides seed of the marks",
    )
    group.addoption(
        "--sweep-replicates",
        type=partial(_integer, least=1),
        metavar="N",
        help="replicates of each configuration; overrides replicates of the marks",
    )
    group.addoption(
        "--sweep-set",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="replace a parameter in the search spaces of the selected tests: by values, as "
        "lr=0.01,0.1, or a distribution, as 'lr=loguniform(1e-4, 1e-2)'; repeatable",
    )
    group.addoption(
        "--sweep-gpus",
        type=_devices,
        metavar="0,1",
        help="GPUs for trials that request some, in the form of CUDA_VISIBLE_DEVICES; default: "
        "those that it names, or those that nvidia-ml-py finds",
    )
    group.addoption(
        "--sweep-resources",
        type=_amounts,
        metavar="NAME=N,...",
        help="how much the session has of resources with names of your own, such as license=2, "
        "which sweeps request by resources={'license': 1}",
    )
    group.addoption(
        "--sweep-on",
        action="append",
        metavar="ray[:ADDRESS]|COMMAND",
        help="run trials on workers on other machines, as many as -n says: on the Ray cluster at "
        "this address, or started by a command such as 'ssh host {python}' or 'srun -n1 {python}'; "
        "repeatable for several hosts, with '4*' in front for four workers",
    )
    group.addoption(
        "--sweep-env",
        action="append",
        metavar="NAMES",
        help="environment variables that workers on other machines are given as well; repeatable "
        "or comma-separated",
    )
    group.addoption(
        "--sweep-timeout",
        type=_duration,
        metavar="DURATION",
        help="start no trials after this time, such as 90s or 1h30m, from the start of the first "
        "one; running trials finish",
    )
    group.addoption(
        "--sweep-track",
        action="append",
        metavar="NAMES",
        help="log the sweeps to experiment trackers as well: mlflow, tensorboard, wandb; "
        "repeatable or comma-separated, empty for none",
    )
    group.addoption(
        "--sweep-report",
        metavar="PATH",
        help="write an HTML report of the results to this file; it works offline",
    )
    group.addoption(
        "--sweep-baseline",
        metavar="PATH",
        help="compare the scores of gated sweeps with those in this file",
    )
    group.addoption(
        "--sweep-update-baseline",
        nargs="?",
        const="",
        metavar="new|all",
        help="write scores of gated sweeps into the baseline: new adds what it lacks (default), "
        "all also replaces the scores of trials that ran, which accepts their changes",
    )
    group.addoption(
        "--sweep-undecided",
        choices=("pass", "fail"),
        default="pass",
        help="whether gates that are undecided fail the session; default: pass",
    )
    parser.addini(
        "sweep_baseline",
        "file with the scores that gated sweeps are compared with, relative to this file",
        type="string",
        default="",
    )
    parser.addini(
        "sweep_default",
        "what a pytest command without --sweep does with swept tests: run, smoke, check or skip",
        type="string",
        default="skip",
    )
    parser.addini(
        "sweep_track",
        "experiment trackers to log sweeps to: mlflow, tensorboard, wandb",
        type="args",
        default=[],
    )
    parser.addini(
        "sweep_env",
        "environment variables that workers on other machines are given",
        type="args",
        default=[],
    )
    # A number in TOML, a text elsewhere; before 9.2, pytest has no such type.
    number: Any = int | str if pytest.version_tuple >= (9, 2) else "string"
    parser.addini(
        "sweep_keep_runs",
        "number of runs to keep of each study",
        type=number,
        default="5",
    )


def _setting(text: str) -> Setting:
    from pytest_hypersearch.plugin.mark.overrides import setting_of

    try:
        return setting_of(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _devices(text: str) -> tuple[str, ...]:
    from pytest_hypersearch.engine.resources.machine import device_names

    names = device_names(text)
    if len(names) != len(text.split(",")):
        raise ArgumentTypeError(f"{text!r}: expected numbers or UUIDs of GPUs, each once")
    return names


def _amounts(text: str) -> dict[str, int]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and number.strip().isdecimal() for name, _, number in pairs):
        raise ArgumentTypeError(f"{text!r}: expected NAME=N such as license=2, comma-separated")
    return {name.strip(): int(number) for name, _, number in pairs}


def _run_name(text: str) -> str:
    from pytest_hypersearch.store.find import is_name

    if not is_name(text):
        raise ArgumentTypeError(
            f"{text!r}: expected letters, digits, '.', '_' or '-', not a number, not 'all', and no "
            "'-' in front"
        )
    return text


def _shard(text: str) -> tuple[int, int]:
    shard, slash, shards = text.partition("/")
    if not (slash and shard.isdecimal() and shards.isdecimal() and 1 <= int(shard) <= int(shards)):
        raise ArgumentTypeError(f"{text!r}: expected I/N such as 2/4, with I from 1 to N")
    return int(shard), int(shards)


def _duration(text: str) -> float:
    from pytest_hypersearch.core.values import duration_of

    try:
        return duration_of(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _integer(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise ArgumentTypeError(f"{text!r}: expected an integer of at least {least}")
    return int(text)


def pytest_load_initial_conftests(args: list[str]) -> None:
    """Bare options with an optional value take none: what follows may be a path."""
    own = args.index("--") if "--" in args else len(args)
    bare = {"--sweep": "--sweep=run", "--sweep-update-baseline": "--sweep-update-baseline="}
    args[:own] = [bare.get(arg, arg) for arg in args[:own]]


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the plugin's own hooks."""
    pluginmanager.add_hookspecs(hookspecs)


# tryfirst: the cache plugin clears the cache in its pytest_configure, and a worker that replaces a
# crashed one would clear away the results of the run.
@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register what the session needs: only the marks unless sweeps run."""
    config.addinivalue_line("markers", SWEEP_MARK)
    config.addinivalue_line("markers", TRIAL_MARK)
    if hasattr(config, "workerinput"):
        config.option.cacheclear = False
    mode = sweep_mode(config)
    if mode != "skip":
        # pytest, the sweeps and their items live until the end: the garbage collector need not walk
        # through them again and again. The first cleanup is the last: pytest's own collects.
        config.add_cleanup(gc.unfreeze)
        gc.freeze()
        PlainImports().start(config)
    if mode in {"run", "check"}:
        from pytest_hypersearch.plugin.session import start

        config.stash[_runner] = start(config, checks=mode == "check")
    elif mode == "smoke":
        from pytest_hypersearch.plugin.session import start_smoke

        config.stash[_runner] = start_smoke(config)


class PlainImports:
    """Finds the modules of this package before pytest does, which would rewrite their assertions.

    pytest reads what it has compiled at a fifth of Python's speed, and a module that it has loaded
    may keep the session and its items until the last moment of the process.
    """

    def start(self, config: pytest.Config) -> None:
        """Find them until the session ends."""
        sys.meta_path.insert(0, self)
        config.add_cleanup(self._end)

    def find_spec(
        self, name: str, path: Sequence[str] | None, _target: object = None
    ) -> ModuleSpec | None:
        """Find one of our modules as Python does, and no other."""
        ours = name.startswith("pytest_hypersearch.")
        return PathFinder.find_spec(name, path) if ours else None

    def _end(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)


def sweep_mode(config: pytest.Config) -> str:
    """What to do with swept tests: run, smoke, check or skip."""
    option: str | None = config.option.sweep
    continues = config.option.sweep_resume or config.option.sweep_rerun
    if option is None and continues:
        return "run"
    mode: str = option if option is not None else setting(config, "sweep_default")
    where = "--sweep" if option is not None else "sweep_default"
    if mode not in MODES:
        hint = "" if option is None else "; use --sweep as the last option or write --sweep=run"
        raise pytest.UsageError(f"{where}={mode}: expected run, smoke, check or skip{hint}")
    if continues and mode != "run":
        beside = "--sweep-resume" if config.option.sweep_resume else "--sweep-rerun"
        raise pytest.UsageError(f"{where}={mode}: cannot be combined with {beside}")
    if config.option.sweep_update_baseline is not None and mode != "run":
        raise pytest.UsageError("--sweep-update-baseline: requires --sweep")
    _check_settings(config.option.sweep_set, mode)
    if config.option.sweep_on and mode != "run":
        raise pytest.UsageError("--sweep-on: requires --sweep")
    if config.option.sweep_shard is not None:
        if mode != "run":
            raise pytest.UsageError("--sweep-shard: requires --sweep")
        if config.option.sweep_update_baseline is not None:
            raise pytest.UsageError(
                "--sweep-update-baseline: cannot be combined with --sweep-shard; update it from "
                "the merged run by pytest-hypersearch baseline update"
            )
    return mode


def _check_settings(settings: Sequence[Setting], mode: str) -> None:
    names = [each.name for each in settings]
    if names and mode not in {"run", "smoke"}:
        why = "requires --sweep" if mode == "skip" else f"cannot be combined with --sweep={mode}"
        raise pytest.UsageError(f"--sweep-set {settings[0].shown}: {why}")
    for each in settings:
        if names.count(each.name) > 1:
            raise pytest.UsageError(
                f"--sweep-set {each.shown}: expected {each.name} once, with commas between its "
                "values"
            )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let ``-k`` find options beyond ASCII as they are written, not only as pytest escapes them."""
    if "\\" in item.name and item.get_closest_marker("sweep_trial") is not None:
        from pytest_hypersearch.plugin import collect

        collect.find_by_text(item)


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn a swept test into its trials, innermost: after all other parametrizations."""
    if metafunc.definition.get_closest_marker("sweep") is None:
        return
    from pytest_hypersearch.plugin import collect
    from pytest_hypersearch.plugin.mark.overrides import Overrides

    config = metafunc.config
    mode = sweep_mode(config)
    option = config.option
    sweeps = collect.sweeps_of(
        metafunc,
        Overrides(
            option.sweep_trials,
            option.sweep_seed,
            option.sweep_replicates,
            tuple(option.sweep_set),
        ),
    )
    if mode == "run":
        collect.parametrize_trials(metafunc, sweeps)
        return
    if mode == "check":
        from pytest_hypersearch.plugin.gate import checked_replicates

        wanted = partial(checked_replicates, config, metafunc.definition.nodeid)
        collect.parametrize_checked(metafunc, sweeps, wanted)
        return
    config.stash.setdefault(_swept, []).append(metafunc.definition)
    if mode == "smoke":
        collect.parametrize_smoke(metafunc, sweeps)
    else:
        collect.parametrize_skipped(metafunc, sweeps)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Say how to run a trial whose node id is given without ``--sweep``, as editors do."""
    config = session.config
    try:
        return (yield)
    except pytest.UsageError as error:
        trials = [each for each in config.args if _is_trial(config, each)]
        hints = (f'trials run with --sweep: pytest --sweep "{trial}"' for trial in trials)
        lines = [*error.args, *hints]
        if hasattr(config, "workeroutput") and (trials or sweep_mode(config) != "skip"):
            config.workeroutput[_USAGE] = lines
        raise pytest.UsageError(*lines) from None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401  xdist's controller of a worker
    """End the session by a worker's usage error, which xdist drops."""
    if lines := getattr(node, "workeroutput", {}).get(_USAGE):
        raise pytest.UsageError(*lines)


def _is_trial(config: pytest.Config, argument: str) -> bool:
    """Whether an argument may be a trial of a test that was collected without its trials."""
    file, _, name = argument.partition("::")
    path = Path(config.invocation_params.dir, file)
    test = name.partition("[")[0]
    return "[" in name and any(
        test == each.nodeid.partition("::")[2] and path.exists() and path.samefile(each.path)
        for each in config.stash.get(_swept, [])
    )


# Not at collection: there, a warning that is turned into an error ends the session.
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Warn of marks without effect: pytest does not parametrize methods of TestCase classes."""
    __tracebackhide__ = True
    if not hasattr(item, "callspec") and item.get_closest_marker("sweep") is not None:
        item.warn(
            pytest.PytestCollectionWarning(
                f"{item.nodeid}: the sweep mark has no effect here; expected a test function or a "
                "method of a plain class: pytest does not parametrize unittest.TestCase"
            )
        )


@pytest.hookimpl(trylast=True)
def pytest_hypersearch_sampler(strategy: str) -> Sampler | None:
    """The built-in strategies."""
    from pytest_hypersearch.search.samplers import builtin

    return builtin(strategy)


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Trial:
    """The running trial: its parameters, seed and path; takes reports, logs and ``prune()``."""
    runner = request.config.stash.get(_runner, None)
    if runner is None or runner.current is None or runner.current.trial is None:
        pytest.fail("the trial fixture needs a test with a sweep mark", pytrace=False)
    return runner.current.trial


@pytest.fixture(scope="session")
def sweeps(request: pytest.FixtureRequest) -> Sweeps:
    """This session's studies: their trials, suggestions and best configurations so far."""
    runner = request.config.stash.get(_runner, None)
    if runner is None or sweep_mode(request.config) != "run":
        pytest.skip("needs --sweep")
    return runner.sweeps
