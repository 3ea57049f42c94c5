"""SMAC's facade for hyperparameters behind ask and tell, to be compared with.

Needs ``pip install smac``. Parameters of the same name and range are one in all branches that have
them, active where one of these is; the branch is a choice.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

from ConfigSpace import Categorical, ConfigurationSpace, Float, InCondition, Integer
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory import StatusType, TrialValue

WORSE_THAN_CHANCE = 3.0


class Contender:
    """Proposes configurations, one at a time; the arguments are those of contender.py.

    Each is tried once, as with the other samplers, so SMAC is told that trials are deterministic.
    A failed trial counts as the worst one seen so far, but no better than 3, which is a loss or
    relative error worse than chance.
    """

    multi = False

    def __init__(self, space: list[dict[str, Any]], seed: int, n_trials: int) -> None:
        warnings.simplefilter("ignore")
        self._space, self._worst = space, WORSE_THAN_CHANCE
        scenario = Scenario(
            _configurations(space, seed),
            deterministic=True,
            n_trials=n_trials,
            seed=seed,
            output_directory=Path(tempfile.mkdtemp(prefix="smac")),
        )
        self._facade = HyperparameterOptimizationFacade(
            scenario, _never, overwrite=True, logging_level=50
        )

    def ask(self) -> dict[str, Any]:
        """Return the next configuration."""
        self._info = self._facade.ask()
        config = dict(self._info.config)
        branch = self._space[config.get("branch", 0)]
        return {
            name: entry[1][config.get(_label(name, entry), 0)]
            if entry[0] == "cat"
            else config[_label(name, entry)]
            for name, entry in branch.items()
        }

    def tell(self, _params: dict[str, Any], value: float) -> None:
        """Take the value of the configuration that was asked for last; NaN for a failure."""
        cost = value if math.isfinite(value) else self._worst
        self._worst = max(self._worst, cost)
        self._facade.tell(self._info, TrialValue(cost=cost, status=StatusType.SUCCESS))


def _never(config: object, seed: int = 0) -> float:
    """Stand for the trial, which is asked and told."""
    raise NotImplementedError(config, seed)


def _label(name: str, entry: tuple[Any, ...]) -> str:
    return f"{name}{list(entry[1:])}"


def _configurations(space: list[dict[str, Any]], seed: int) -> ConfigurationSpace:
    """Return the space with the branch as a choice where there are several."""
    made = ConfigurationSpace(seed=seed)
    users = defaultdict(list)
    entries = {}
    for number, branch in enumerate(space):
        for name, entry in branch.items():
            if entry[0] != "cat" or len(entry[1]) > 1:
                users[_label(name, entry)].append(number)
                entries[_label(name, entry)] = entry
    if len(space) > 1:
        made.add(Categorical("branch", range(len(space))))
    for label, entry in entries.items():
        made.add(_parameter(label, entry))
    if len(space) > 1:
        made.add(
            InCondition(made[label], made["branch"], numbers)
            for label, numbers in users.items()
            if len(numbers) < len(space)
        )
    return made


def _parameter(label: str, entry: tuple[Any, ...]) -> Any:
    if entry[0] == "cat":
        return Categorical(label, range(len(entry[1])))
    kind, low, high, log = entry
    return (Float if kind == "float" else Integer)(label, (low, high), log=log)
