"""Wrong marks and options: each gets one line with the test, the argument, given and expected."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from textwrap import dedent

import pytest

from pytest_hypersearch import sweep

STRATEGIES = (
    "expected exactly one of grid={...}, random={...}, bayes={...} "
    "or strategy='...' with space={...}"
)
ARGUMENTS = ", ".join(sorted(inspect.signature(sweep).parameters))
RESOURCES = "expected a dict with some of 'cpus', 'gpus', 'memory'"
NAMED = "expected ASCII letters, digits, '-', '_' and '.'"
MODES = "expected run, smoke, check or skip; use --sweep as the last option or write --sweep=run"
NUMBER = "argument --sweep-{}: '{}': expected an integer of at least {}"
UNWANTED = r"pytest_hypersearch[/\\]|INTERNALERROR|Traceback|During handling"
ENCODED = "expected a string that UTF-8 can encode"
GATE = "expected a loss such as '1%' or 0.005, a threshold such as '>= 0.95', or a dict"
HEAD = """
import math
import numpy as np
import pytest
import scipy.stats
from pytest_hypersearch import choice, lograndint, loguniform, normal, randint, uniform

class Mine(scipy.stats.rv_continuous):
    pass
"""


@dataclass(frozen=True)
class Row:
    source: str
    line: str
    head: str = ""
    args: tuple[str, ...] = ()
    ini: str = ""

    @property
    def alone(self):
        """Whether it takes no more than its file."""
        return not self.args and not self.ini


def mark(arguments, line):
    source = f"@pytest.mark.sweep({arguments})\ndef test_bad(lr): ..."
    return module(source, line, "test_bad.py::test_bad: ")


def module(source, line, head="", args=()):
    return Row(HEAD + dedent(source), line, head, args)


def option(args, line, ini=""):
    head = "pytest.main(): error: " if line.startswith("argument") else "ERROR: "
    return Row("def test_good(): ...", line, head, tuple(args.split()), ini)


A = "random={'lr': uniform(0, 1)}, n_trials=3"
ROWS = [
    mark(
        "bayes={'lr': (0.1, 1)}, n_trials=3",
        "sweep(bayes=...): lr: (0.1, 1): expected uniform(low, high) or the like for a range, or a "
        "list of options",
    ),
    *(
        mark(f"grid={{'lr': [1]}}, replicates={value}, gate={gate}", f"sweep(replicates{line}")
        for value, gate, line in [
            (
                "{'at_least': 3}",
                True,
                "={'at_least': 3}): expected an integer, or a dict of at_least and at_most",
            ),
            (
                "{'at_least': 2, 'at_most': 9}",
                True,
                "['at_least']=2): expected an integer of at least 3",
            ),
            (
                "{'at_least': 3, 'at_most': 3}",
                True,
                "['at_most']=3): expected an integer of at least 4",
            ),
            (
                "{'at_least': 3, 'at_most': 9}",
                {"a": ">= 1"},
                "={'at_least': 3, 'at_most': 9}): requires a gate= that compares with a baseline",
            ),
        ]
    ),
    *(
        mark(
            f"grid={{'lr': [1]}}, replicates={replicates}, metric='a', mode='min', gate={gate}",
            line,
        )
        for replicates, gate, line in [
            (3, "{}", "sweep(gate={}): expected True or a dict such as {'val_loss': '1%'}"),
            (
                2,
                "True",
                (
                    "sweep(gate=True): requires replicates= of at least 3; 8 detect a loss of one "
                    "standard deviation"
                ),
            ),
            (3, "{'a': 'x'}", f"sweep(gate['a']='x'): {GATE}"),
            (3, "{'a': -1}", f"sweep(gate['a']=-1): {GATE}"),
            (3, "{'a': None}", f"sweep(gate['a']=None): {GATE}"),
            (3, "{1: '1%'}", "sweep(gate=1): expected names of metrics"),
            (3, r"{'\ud800': '1%'}", rf"sweep(gate='\ud800'): {ENCODED}"),
            (
                3,
                "{'a': '>= x'}",
                "sweep(gate['a']): a: '>= x': expected '<= number' or '>= number'",
            ),
            (3, "{'a': '>= 1'}", "sweep(gate['a']='>= 1'): expected <=: mode='min' of the sweep"),
            (
                3,
                "{'b': 1}",
                (
                    "sweep(gate['b']=...): requires 'mode': 'min' or 'max' in a dict, "
                    "as the sweep does not optimise it"
                ),
            ),
            (
                3,
                "{'a': {'mode': 'max'}}",
                "sweep(gate['a']['mode']='max'): expected 'min' as in the sweep",
            ),
            (
                3,
                "{'a': {'tol': 1}}",
                (
                    "sweep(gate['a']={'tol': 1}): expected a dict with some of tolerance, "
                    "threshold, mode, top, alpha, strict"
                ),
            ),
            (
                3,
                "{'a': {'top': 0}}",
                "sweep(gate['a']['top']=0): expected an integer of at least 1",
            ),
            (
                3,
                "{'a': {'alpha': 1}}",
                "sweep(gate['a']['alpha']=1): expected a number above 0 and below 0.5",
            ),
            (
                3,
                "{'a': {'threshold': '<= 1', 'top': 1}}",
                (
                    "sweep(gate['a']={'threshold': '<= 1', 'top': 1}): expected 'top' and 'strict' "
                    "with a 'tolerance' only"
                ),
            ),
            (3, "{'a': {'strict': 1}}", "sweep(gate['a']['strict']=1): expected True or False"),
        ]
    ),
    mark("", f"sweep: given no strategy; {STRATEGIES}"),
    mark(
        "grid={'lr': [1]}, random={'lr': [1]}, n_trials=1",
        f"sweep: given grid=... and random=...; {STRATEGIES}",
    ),
    mark(
        "{'lr': [1]}",
        "sweep({'lr': [1]}, ...): expected keyword arguments only, such as grid={...}",
    ),
    mark(f"{A}, metrc='a'", "sweep(metrc='a'): no such argument; did you mean metric?"),
    mark(
        f"{A}, direction='maximize'",
        "sweep(direction='maximize'): no such argument; did you mean mode='min' or 'max'?",
    ),
    mark(f"{A}, n_jobs=4", "sweep(n_jobs=4): no such argument; did you mean pytest's -n?"),
    mark(f"{A}, num_samples=9", "sweep(num_samples=9): no such argument; did you mean n_trials=?"),
    mark(f"{A}, scoring='r2'", "sweep(scoring='r2'): no such argument; did you mean metric=?"),
    mark(f"{A}, cv=5", "sweep(cv=5): no such argument; did you mean replicates=?"),
    mark(
        "param_grid={'lr': [1]}",
        "sweep(param_grid={'lr': [1]}): no such argument; did you mean grid=?",
    ),
    mark(f"{A}, xyzzy=1", f"sweep(xyzzy=1): no such argument; expected {ARGUMENTS}"),
    mark("grid=5", "sweep(grid=5): expected a dict of parameters, or a non-empty list of dicts"),
    mark("grid=[]", "sweep(grid=[]): expected a dict of parameters, or a non-empty list of dicts"),
    mark("grid={}", "sweep(grid={}): expected a non-empty dict of parameter name to values"),
    mark(
        "grid=[{'lr': [1]}, 3]",
        "sweep(grid=3): expected a non-empty dict of parameter name to values",
    ),
    mark("grid={1: [1]}", "sweep(grid=1): expected parameter names that are (dotted) identifiers"),
    mark(
        "grid={'learning rate': [1]}",
        "sweep(grid='learning rate'): expected parameter names that are (dotted) identifiers",
    ),
    mark(
        "grid={'trial': [1]}",
        "sweep(grid='trial'): the name is reserved for a fixture",
    ),
    mark(
        "grid={'lr': [1], 'lr.decay': [2]}",
        "sweep(grid='lr.decay'): conflicts with the parameter 'lr'",
    ),
    mark(
        "grid={'lr': 0.1}",
        "sweep(grid=...): lr: 0.1: expected a list of values or a distribution",
    ),
    mark(
        "grid={'lr': 'adam'}",
        "sweep(grid=...): lr: 'adam': expected a list of values or a distribution",
    ),
    mark(
        "grid={'lr': {1}}",
        "sweep(grid=...): lr: {1}: expected a list of values or a distribution",
    ),
    mark(
        "grid={'lr': np.zeros((2, 2))}",
        "sweep(grid=...): lr: array([[0., 0.], [0., 0.]]): "
        "expected a list of values or a distribution",
    ),
    mark("grid={'lr': []}", "sweep(grid=...): lr: choice([]): expected at least one option"),
    mark(
        "grid={'lr': [1, 2, 1]}",
        "sweep(grid=...): lr: choice([1, 2, 1]): expected each option once; 1 is given twice",
    ),
    mark(
        "grid={'lr': uniform(0, 1)}",
        "sweep(grid=...): lr: uniform(low=0, high=1): "
        "a grid takes lists of values and distributions with step=",
    ),
    mark(
        "grid={'lr': [1]}, n_trials=1",
        "sweep(n_trials=1): not accepted by grid=, which tries every combination",
    ),
    mark(
        "grid={f'p{i}': range(100) for i in range(9)}",
        "sweep(grid=...): 1,000,000,000,000,000,000 trials; expected at most 1,000,000",
    ),
    mark(
        "random={'lr': uniform(0, 1)}",
        "sweep(random=...): requires n_trials=, the number of configurations",
    ),
    mark(
        "random={'lr': uniform(0, 1)}, n_trials=0",
        "sweep(n_trials=0): expected an integer of at least 1",
    ),
    mark(
        "random={'lr': uniform(0, 1)}, n_trials=2.5",
        "sweep(n_trials=2.5): expected an integer of at least 1",
    ),
    mark(
        "random={'lr': uniform(0, 1)}, n_trials='3'",
        "sweep(n_trials='3'): expected an integer of at least 1",
    ),
    mark(
        "random={'lr': uniform(0, 1)}, n_trials=int",
        "sweep(n_trials=<class 'int'>): expected an integer of at least 1",
    ),
    mark(
        "random={'lr': uniform(0, 1)}, n_trials=True",
        "sweep(n_trials=True): expected an integer of at least 1",
    ),
    mark(
        "random={'lr': uniform(1, 0)}, n_trials=3",
        "sweep(random=...): lr: uniform(low=1, high=0): expected low <= high",
    ),
    mark(
        "random={'lr': uniform('a', 1)}, n_trials=3",
        "sweep(random=...): lr: uniform(low='a', high=1): expected a finite number as low",
    ),
    mark(
        "random={'lr': uniform(0, math.nan)}, n_trials=3",
        "sweep(random=...): lr: uniform(low=0, high=nan): expected a finite number as high",
    ),
    mark(
        "random={'lr': uniform(0, 1, step=0)}, n_trials=3",
        "sweep(random=...): lr: uniform(low=0, high=1, step=0): expected step > 0",
    ),
    mark(
        "bayes={'lr': loguniform(0, 1)}, n_trials=3",
        "sweep(bayes=...): lr: loguniform(low=0, high=1): "
        "expected low > 0, for a logarithmic scale",
    ),
    mark(
        "bayes={'lr': randint(1.5, 3)}, n_trials=3",
        "sweep(bayes=...): lr: randint(low=1.5, high=3): expected a whole number as low",
    ),
    mark(
        "bayes={'lr': lograndint(-1, 3)}, n_trials=3",
        "sweep(bayes=...): lr: lograndint(low=-1, high=3): "
        "expected low > 0, for a logarithmic scale",
    ),
    mark(
        "random={'lr': normal(0, -1)}, n_trials=3",
        "sweep(random=...): lr: normal(mean=0, std=-1): expected std > 0",
    ),
    mark(
        "random={'lr': choice([])}, n_trials=3",
        "sweep(random=...): lr: choice([]): expected at least one option",
    ),
    mark(
        "random={'lr': choice('abc')}, n_trials=3",
        "sweep(random=...): lr: choice('abc'): expected a list, tuple, range, one-dimensional "
        "array or mapping of labels to objects",
    ),
    mark(
        "random={'lr': choice([1, 2], weights=[1, -1])}, n_trials=3",
        "sweep(random=...): lr: choice([1, 2], weights=[1, -1]): "
        "expected 2 finite weights above 0, one for each option",
    ),
    mark(
        "random={'lr': choice([1, 2], weights=[1])}, n_trials=3",
        "sweep(random=...): lr: choice([1, 2], weights=[1]): "
        "expected 2 finite weights above 0, one for each option",
    ),
    mark(
        "bayes={'lr': scipy.stats.norm(0, 1)}, n_trials=3",
        "sweep(bayes=...): lr: scipy.stats.norm(0, 1): "
        "bayes= takes no scipy.stats distributions; use uniform, loguniform, normal, ...",
    ),
    mark(
        "random={'lr': scipy.stats.norm(0, -1)}, n_trials=3",
        "sweep(random=...): lr: scipy.stats.norm(0, -1): "
        "expected arguments that make a distribution",
    ),
    mark(
        "random={'lr': Mine(name='mine')()}, n_trials=3",
        "sweep(random=...): lr: mine(...): expected a distribution of scipy.stats, or choice(...)",
    ),
    mark(f"{A}, mode='minimise'", "sweep(mode='minimise'): expected one of 'min', 'max'"),
    mark(f"{A}, metric=''", "sweep(metric=''): expected a non-empty string"),
    mark(f"{A}, metric=3", "sweep(metric=3): expected a non-empty string"),
    mark(f"{A}, seed=-1", "sweep(seed=-1): expected an integer of at least 0"),
    mark(f"{A}, seed='x'", "sweep(seed='x'): expected an integer of at least 0"),
    mark(f"{A}, replicates=0", "sweep(replicates=0): expected an integer of at least 1"),
    mark(f"{A}, retries=-1", "sweep(retries=-1): expected an integer of at least 0"),
    mark(
        f"{A}, points={{'lr': 1}}",
        "sweep(points={'lr': 1}): expected a list of dicts, each a complete configuration, or a "
        "run such as 'test_mlp@-1'",
    ),
    mark(
        f"{A}, points='@-1'",
        "sweep(points='@-1'): expected a test, or a test and a run: 'test_mlp@-1'",
    ),
    mark(
        "grid={'lr': [1]}, points='test_f'",
        "sweep(points='test_f'): not accepted by grid=, which tries every combination",
    ),
    mark(
        f"{A}, points=[1]",
        "sweep(points[0]=1): expected a dict, a complete configuration",
    ),
    mark(f"{A}, points=[{{}}]", "sweep(points[0]={}): lr: expected a value"),
    mark(
        f"{A}, points=[{{'lr': 2}}]",
        "sweep(points[0]={'lr': 2}): lr: 2: expected a value of uniform(low=0, high=1)",
    ),
    mark(
        f"{A}, points=[{{'lr': 1, 'momentum': 1}}]",
        "sweep(points[0]={'lr': 1, 'momentum': 1}): momentum: no such parameter; expected lr",
    ),
    mark(
        f"{A}, points=[{{'lr': 1}}, {{'lr': 1.0}}]",
        "sweep(points[1]={'lr': 1.0}): expected distinct points",
    ),
    mark(
        "random={'lr': uniform(0, 1)}, n_trials=1, points=[{'lr': 1}, {'lr': 0}]",
        "sweep(points=[{'lr': 1}, {'lr': 0}]): 2 points; expected at most n_trials=1",
    ),
    mark(f"{A}, group_by='depth'", "sweep(group_by='depth'): expected names among lr"),
    mark(f"{A}, group_by=[[]]", "sweep(group_by=[[]]): expected names among lr"),
    mark(f"{A}, indirect=['depth']", "sweep(indirect=['depth']): expected names among lr"),
    mark(
        f"{A}, parallel=2",
        "sweep(parallel=2): not accepted by random=, which is reproducible without it",
    ),
    mark(
        "bayes={'lr': uniform(0, 1)}, n_trials=3, parallel=0",
        "sweep(parallel=0): expected an integer of at least 1",
    ),
    mark(f"{A}, race=1", "sweep(race=1): expected True or False"),
    mark(
        f"{A}, race=True, replicates=2",
        "sweep(race=True): requires replicates= of at least 3",
    ),
    mark(
        f"{A}, race=True, replicates=3, metric=['a', 'b']",
        "sweep(race=True): requires a single metric",
    ),
    mark(
        f"{A}, race=True, replicates=3, constraints={{'a': '<= 1'}}",
        "sweep(race=True): cannot be combined with constraints=",
    ),
    mark(
        f"{A}, race=True, replicates=3, pick='max'",
        "sweep(race=True): cannot be combined with pick='max'",
    ),
    mark(
        f"{A}, stop=0.5",
        "sweep(stop=0.5): expected a dict with some of score, patience, min_delta, time, trials",
    ),
    mark(
        f"{A}, stop={{'loss': 1}}",
        "sweep(stop={'loss': 1}): "
        "expected a dict with some of score, patience, min_delta, time, trials",
    ),
    mark(
        f"{A}, stop={{'min_delta': 1}}",
        "sweep(stop={'min_delta': 1}): min_delta requires patience",
    ),
    mark(
        f"{A}, stop={{'patience': 0}}",
        "sweep(stop['patience']=0): expected an integer of at least 1",
    ),
    mark(f"{A}, stop={{'score': math.nan}}", "sweep(stop['score']=nan): expected a finite number"),
    mark(
        f"{A}, stop={{'patience': 2, 'min_delta': -1}}",
        "sweep(stop['min_delta']=-1): expected a number of at least 0",
    ),
    mark(
        f"{A}, stop={{'time': 'soon'}}",
        "sweep(stop['time']='soon'): expected seconds, or a text such as '90s' or '1h30m'",
    ),
    mark(
        f"{A}, timeout=0",
        "sweep(timeout=0): expected seconds, or a text such as '90s' or '1h30m'",
    ),
    mark(
        f"{A}, raises='ValueError'",
        "sweep(raises='ValueError'): expected an exception class or a tuple of them",
    ),
    mark(
        f"{A}, raises=(KeyboardInterrupt,)",
        "sweep(raises=(<class 'KeyboardInterrupt'>,)): "
        "expected an exception class or a tuple of them",
    ),
    mark(
        f"{A}, base=3",
        "sweep(base=3): expected a (nested) dict, a dataclass, a pydantic "
        "model or a config of OmegaConf",
    ),
    mark(
        "grid={'opt.lr': [1]}, base={'opt': {}}",
        "sweep(base={'opt': {}}): expected a value for each dotted parameter; 'opt.lr' is missing",
    ),
    mark(
        f"{A}, scope='funktion'",
        "sweep(scope='funktion'): "
        "expected one of 'session', 'package', 'module', 'class', 'function'",
    ),
    mark(f"{A}, depends_on=3", "sweep(depends_on=3): expected a path or a list of paths"),
    mark(f"{A}, resources={{}}", f"sweep(resources={{}}): {RESOURCES}"),
    mark(f"{A}, resources={{'gpu': 1}}", f"sweep(resources={{'gpu': 1}}): {RESOURCES}"),
    mark(
        f"{A}, resources={{'cpus': 0}}",
        "sweep(resources={'cpus': 0}): expected 'cpus' to be an integer of at least 1",
    ),
    mark(
        f"{A}, resources={{'gpus': 1.5}}",
        "sweep(resources={'gpus': 1.5}): expected 'gpus' to be a fraction or a whole number",
    ),
    mark(
        f"{A}, resources={{'memory': '0GiB'}}",
        "sweep(resources={'memory': '0GiB'}): expected 'memory' to be bytes or a text such as "
        "'4GiB'",
    ),
    mark(
        f"{A}, resources={{'memory': '9' * 400 + 'GiB'}}",
        f"sweep(resources={{'memory': '{'9' * 45}...): expected 'memory' to be bytes or a text "
        "such as '4GiB'",
    ),
    mark(
        f"{A}, resources={{'memory': '4 gigs'}}",
        "sweep(resources={'memory': '4 gigs'}): expected 'memory' to be bytes or a text such as "
        "'4GiB'",
    ),
    mark(f"{A}, isolate=1", "sweep(isolate=1): expected True or False"),
    mark(f"{A}, depends_on='no.csv'", "sweep(depends_on='no.csv'): expected a file in {folder}"),
    mark(f"{A}, name=''", f"sweep(name=''): {NAMED}"),
    mark(f"{A}, name='1st'", f"sweep(name='1st'): {NAMED}"),
    mark(f"{A}, name='é'", f"sweep(name='é'): {NAMED}"),
    mark("strategy='mine', n_trials=1", "sweep(strategy='mine'): requires space={...}"),
    mark(f"{A}, space={{'lr': [1]}}", "sweep(space={'lr': [1]}): expected it in random="),
    mark(
        "strategy=5, space={'lr': [1]}, n_trials=1",
        "sweep(strategy=5): expected a non-empty string",
    ),
    module(
        """
        @pytest.mark.sweep(strategy="mine", space={"lr": [1]}, n_trials=1)
        def test_bad(lr): ...
        """,
        "test_bad.py::test_bad: sweep(strategy='mine'): "
        "expected grid, random, bayes, optuna:... or a strategy of a plugin",
        args=("--sweep",),
    ),
    mark(
        "grid={'depth': [1]}",
        "sweep(grid=...): neither the test nor its fixtures take 'depth'; expected an argument of "
        "this name, or the trial fixture, for trial.params",
    ),
    mark("strategy='my own', space={'lr': [1]}, n_trials=1", f"sweep(strategy='my own'): {NAMED}"),
    module(
        """
        @pytest.mark.sweep
        def test_bad(lr): ...
        """,
        f"test_bad.py::test_bad: sweep: given no strategy; {STRATEGIES}",
    ),
    module(
        """
        @pytest.mark.sweep(grid={"lr": [1]})
        @pytest.mark.sweep(grid={"lr": [2]})
        def test_bad(lr): ...
        """,
        "test_bad.py::test_bad: two sweeps have the name 'grid'; "
        "expected a distinct name= for each",
    ),
    module(
        """
        @pytest.mark.sweep(grid={"lr": [1]})
        @pytest.mark.sweep(random={"depth": [2]}, n_trials=1)
        def test_bad(lr): ...
        """,
        "test_bad.py::test_bad: sweeps 'grid' and 'random' have different parameters "
        "(lr and depth); expected the same in all sweeps of a test",
    ),
    module(
        """
        @pytest.mark.sweep(grid={"lr": [1]})
        @pytest.mark.sweep(random={"lr": [2]}, n_trials=1, scope="module")
        def test_bad(lr): ...
        """,
        "test_bad.py::test_bad: sweeps 'grid' and 'random' differ in scope= or indirect=; "
        "expected the same in all sweeps of a test",
    ),
    mark(
        f"{A}, metric=['a', '']", "sweep(metric=['a', '']): expected non-empty strings in the list"
    ),
    mark(f"{A}, metric=['a', 1]", "sweep(metric=['a', 1]): expected non-empty strings in the list"),
    mark(
        f"{A}, metric=['a']", "sweep(metric=['a']): expected a name, or a list of two or more names"
    ),
    mark(
        f"{A}, metric='score'",
        "sweep(metric='score'): expected mode='min' or 'max' beside it: scores go either way",
    ),
    mark(
        f"{A}, metric=['loss', 'score']",
        "sweep(metric=['loss', 'score']): expected mode='min' or 'max' beside it: "
        "scores go either way",
    ),
    mark(f"{A}, metric=[]", "sweep(metric=[]): expected a name, or a list of two or more names"),
    mark(f"{A}, metric=['a', 'a']", "sweep(metric=['a', 'a']): expected distinct names"),
    mark(
        f"{A}, metric=['a', 'b'], mode='min'",
        "sweep(mode='min'): expected a list of 2 modes, one per metric",
    ),
    mark(
        f"{A}, metric=['a', 'b'], mode=['min']",
        "sweep(mode=['min']): expected a list of 2 modes, one per metric",
    ),
    mark(
        f"{A}, metric=['a', 'b'], mode=['min', 'least']",
        "sweep(mode=['min', 'least']): expected only 'min' or 'max' in the list",
    ),
    mark(f"{A}, mode=['min']", "sweep(mode=['min']): expected one of 'min', 'max'"),
    mark(
        "strategy='optuna:CmaEsSampler', space={'lr': uniform(0, 1)}, n_trials=3, "
        "metric=['a', 'b']",
        "sweep(metric=['a', 'b']): expected one metric with strategy='optuna:CmaEsSampler'",
    ),
    mark(
        "strategy='optuna:TPESampler', space={'lr': uniform(0, 1)}, n_trials=3, "
        "constraints={'a': '<= 1'}",
        "sweep(constraints={'a': '<= 1'}): Optuna's samplers get no constraints; "
        "use bayes, random or grid",
    ),
    mark(
        f"{A}, constraints='a <= 1'",
        "sweep(constraints='a <= 1'): expected a dict such as {'latency': '<= 50'}",
    ),
    mark(f"{A}, constraints={{1: '<= 1'}}", "sweep(constraints=1): expected names of metrics"),
    mark(rf"{A}, constraints={{'\ud800': '<= 1'}}", rf"sweep(constraints='\ud800'): {ENCODED}"),
    mark(rf"{A}, metric='\ud800'", rf"sweep(metric='\ud800'): {ENCODED}"),
    mark(rf"{A}, metric=['a', '\ud800']", rf"sweep(metric='\ud800'): {ENCODED}"),
    *(
        mark(
            f"{A}, constraints={{'a': {bound!r}}}",
            f"sweep(constraints=...): a: {bound!r}: expected '<= number' or '>= number'",
        )
        for bound in ("< 1", "<= x", "<= nan", "<= inf", "== 1", "1", 1, None, "<= 1 ms")
    ),
    *(
        mark(
            f"{A}, replicates=3, pick={pick!r}",
            f"sweep(pick={pick!r}): expected one of "
            "'mean', 'median', 'max', 'min', 'one-se', 'one-se:NAME'",
        )
        for pick in ("best", "one-se:", "median:lr", "Mean")
    ),
    mark(f"{A}, pick=3", "sweep(pick=3): expected a non-empty string"),
    mark(
        f"{A}, pick='median'",
        "sweep(pick='median'): requires replicates= of at least 2",
    ),
    mark(
        f"{A}, replicates=3, pick='one-se'",
        "sweep(pick='one-se'): expected 'one-se:NAME' with random: "
        "NAME is a parameter or metric, lowest is simplest",
    ),
    mark(
        f"{A}, replicates=3, metric=['a', 'b'], pick='max'",
        "sweep(pick='max'): expected 'mean' with several metrics",
    ),
    mark(
        "grid={'act': ['relu', 'tanh']}, replicates=3, pick='one-se:act'",
        "sweep(pick='one-se:act'): expected a numeric parameter; act is choice(['relu', 'tanh'])",
    ),
    module(
        """
        class TestModel:
            @pytest.mark.sweep(grid={"lr": []})
            def test_bad(self, lr): ...
        """,
        "test_bad.py::TestModel::test_bad: sweep(grid=...): lr: choice([]): "
        "expected at least one option",
    ),
    module(
        """
        @pytest.mark.parametrize("lr", [1, 2])
        @pytest.mark.sweep(grid={"lr": [1]})
        def test_bad(lr): ...
        """,
        "test_bad.py::test_bad: duplicate parametrization of 'lr'",
    ),
    option(
        "--sweep=bogus",
        f"--sweep=bogus: {MODES}",
    ),
    option(
        "--sweep=",
        f"--sweep=: {MODES}",
    ),
    option("--sweep --sweep-trials=0", NUMBER.format("trials", "0", 1)),
    option("--sweep --sweep-trials=some", NUMBER.format("trials", "some", 1)),
    option("--sweep --sweep-replicates=0", NUMBER.format("replicates", "0", 1)),
    option("--sweep-set=lr=1", "--sweep-set lr=1: requires --sweep"),
    option(
        "--sweep=check --sweep-set=lr=1",
        "--sweep-set lr=1: cannot be combined with --sweep=check",
    ),
    option(
        "--sweep --sweep-set=lr=1 --sweep-set=lr=2",
        "--sweep-set lr=1: expected lr once, with commas between its values",
    ),
    option(
        "--sweep --sweep-set=lr",
        "argument --sweep-set: 'lr': expected NAME=VALUES such as lr=0.01,0.1",
    ),
    option("--sweep --sweep-seed=x", NUMBER.format("seed", "x", 0)),
    option("--sweep --sweep-seed=-1", NUMBER.format("seed", "-1", 0)),
    option(
        "--sweep --sweep-stale=maybe",
        "argument --sweep-stale: invalid choice: 'maybe' (choose from 'rerun', 'keep')",
    ),
    option("--sweep=smoke --sweep-resume", "--sweep=smoke: cannot be combined with --sweep-resume"),
    option("--sweep=skip --sweep-rerun", "--sweep=skip: cannot be combined with --sweep-rerun"),
    option(
        "--sweep -n1 --dist=each",
        "--dist=each runs every trial on every worker; "
        "expected load, worksteal, loadscope, loadfile or loadgroup with --sweep",
    ),
    option(
        "", "sweep_default=maybe: expected run, smoke, check or skip", ini="sweep_default = maybe"
    ),
    option(
        "--sweep",
        "sweep_keep_runs=few: expected an integer of at least 1",
        ini="sweep_keep_runs = few",
    ),
    option(
        "--sweep",
        "sweep_keep_runs=0: expected an integer of at least 1",
        ini="sweep_keep_runs = 0",
    ),
]


def test_one_line_names_test_argument_given_and_expected(pytester, run):
    """Each row in a directory of its own, all in one session."""
    rows = {f"{number:03}": row for number, row in enumerate(row for row in ROWS if row.alone)}
    for name, row in rows.items():
        (pytester.mkdir(name) / "test_bad.py").write_text(row.source)
    result = run("--continue-on-collection-errors", "--import-mode=importlib")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert not [line for line in result.outlines if re.search(UNWANTED, line)]
    errors = result.stdout.str().partition("= ERRORS =")[2].partition("= short test summary")[0]
    _, *parts = re.split(r"\n_+ ERROR collecting (\d+)/test_bad\.py\S* _+\n", errors)
    told = dict(zip(parts[::2], parts[1::2], strict=True))
    assert told.keys() == rows.keys()
    for name, row in rows.items():
        line = row.line.replace("{folder}", str(pytester.path / name))
        assert [each for each in told[name].splitlines() if line in each] == [
            f"{name}/{row.head}{line}"
        ]


@pytest.mark.parametrize("row", [row for row in ROWS if not row.alone], ids=lambda row: row.line)
def test_one_line_names_option_given_and_expected(pytester, run, row):
    pytester.makepyfile(test_bad=row.source)
    if row.ini:
        pytester.makeini(f"[pytest]\n{row.ini}")
    result = run("--continue-on-collection-errors", *row.args)
    lines = [*result.outlines, *result.errlines]
    assert result.ret in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.USAGE_ERROR}
    assert [line for line in lines if row.line in line] == [row.head + row.line]
    assert not [line for line in lines if re.search(UNWANTED, line)]


@pytest.mark.parametrize("absolute", [False, True])
def test_a_trial_by_its_node_id_without_the_option_says_what_to_type(pytester, run, absolute):
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.sweep(grid={"x": [1, 2]})
        class TestNet:
            def test_f(self, x):
                return x

        def test_plain(): ...
        """
    )
    file = pytester.path / "test_it.py" if absolute else "test_it.py"
    trial = f"{file}::TestNet::test_f[x:1]"
    for args in ((), ("--sweep=smoke",)):
        result = run(trial, *args)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        hint = f'ERROR: trials run with --sweep: pytest --sweep "{trial}"'
        assert result.errlines.count(hint) == 1
    if absolute:
        result = run(trial, "-n2")  # xdist drops the error of its workers
        assert (result.ret, result.errlines.count(hint)) == (pytest.ExitCode.USAGE_ERROR, 1)
    assert run("--sweep", trial).parseoutcomes() == {"passed": 1}
    result = run("test_it.py::test_plain[x:1]")
    assert "--sweep" not in str(result.errlines)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("sweep_keep_runs = 2", ""),
        ('sweep_keep_runs = "2"', ""),
        ('sweep_track = ["tensorboard"]', ""),
        ('sweep_default = "run"', ""),
        ("sweep_keep_runs = 0", "sweep_keep_runs=0: expected an integer of at least 1"),
        ("sweep_keep_runs = true", "'sweep_keep_runs' expects one of int | string, got bool"),
        ('sweep_track = "mlflow"', "'sweep_track' expects a list for type 'args', got str"),
        ("sweep_default = false", "'sweep_default' expects a string, got bool"),
    ],
)
@pytest.mark.skipif(pytest.version_tuple < (9, 2), reason="numbers or texts from TOML")
def test_keys_take_the_types_of_toml(pytester, run, line, problem):
    (pytester.path / "pytest.toml").write_text(f"[pytest]\n{line}\n")
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.sweep(grid={"x": [1]})
        def test_f(x):
            return x
        """
    )
    result = run(*([] if "default" in line else ["--sweep"]))
    assert problem in "\n".join(result.errlines)
    assert not [line for line in result.errlines if re.search(UNWANTED, line)]
    if problem:
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        return
    result.assert_outcomes(passed=1)
    for _ in range(2):
        run("--sweep")
    runs = len([*pytester.path.glob(".pytest_cache/d/hypersearch/*/0*")])
    assert runs == (2 if "keep" in line else 3)


@pytest.mark.parametrize("ask", ["best", "study", "results"])
def test_no_source_of_ours_is_above_an_error_of_sweeps(pytester, run, ask):
    pytester.makepyfile(
        test_it=f"""
        def test_gate(sweeps):
            sweeps.{ask}("test_nope")
        """
    )
    result = run("--sweep")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines("E *LookupError: sweeps: 'test_nope': *")
    assert not [line for line in result.outlines if re.search(UNWANTED, line)]


def test_given_tests_of_hypothesis_are_refused_with_the_way_out(pytester):
    pytest.importorskip("hypothesis")
    pytester.makepyfile(
        test_it="""
        import pytest
        from hypothesis import given, strategies

        @pytest.mark.sweep(grid={"x": [1, 2]})
        def test_within(x):
            @given(n=strategies.integers(0, 5))
            def check(n):
                assert n + x > 0
            check()
            return x

        @pytest.mark.sweep(grid={"x": [1]})
        @given(n=strategies.integers(0, 5))
        def test_given(x, n):
            return x
        """
    )
    args = ("--sweep", "--continue-on-collection-errors")
    result = pytester.runpytest_subprocess(*args, "-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(
        "test_it.py::test_given: sweep: Hypothesis runs a @given test for many inputs, and it may "
        "return nothing; expected a test that calls a @given function within it and returns the *"
    )
    pytester.path.joinpath("test_it.py").write_text(
        pytester.path.joinpath("test_it.py")
        .read_text()
        .partition('@pytest.mark.sweep(grid={"x": [1]}')[0]
    )
    pytester.runpytest_subprocess("--sweep").assert_outcomes(passed=2)
