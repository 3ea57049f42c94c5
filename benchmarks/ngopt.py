"""NGOpt of nevergrad behind the ask and tell of contender.py, to be compared with."""

from __future__ import annotations

import math
from typing import Any

import nevergrad as ng
import numpy as np


class Contender:
    """Proposes configurations, one at a time; the arguments are those of contender.py.

    Branches of a conditional space are options of a choice, each with parameters of its own. A
    failed trial counts as the worst one seen so far, or as `failure` if that is worse: nevergrad
    knows no failures.
    """

    multi = False

    def __init__(
        self,
        space: dict[str, Any] | list[dict[str, Any]],
        seed: int,
        direction: str = "minimize",
        n_trials: int = 0,
        failure: float = 0.0,
    ) -> None:
        self._space = space if isinstance(space, list) else [space]
        self._sign = 1.0 if direction == "minimize" else -1.0
        branches = [
            ng.p.Dict(**{name: _parameter(entry) for name, entry in branch.items()})
            for branch in self._space
        ]
        parameters = branches[0]
        if len(branches) > 1:
            numbered = [ng.p.Tuple(i, branch) for i, branch in enumerate(branches)]
            parameters = ng.p.Choice(numbered)
        parameters.random_state = np.random.RandomState(seed)
        self._optimizer = ng.optimizers.NGOpt(parameters, budget=n_trials)
        self._worst = failure

    def ask(self) -> dict[str, Any]:
        """Return the next configuration."""
        self._candidate = self._optimizer.ask()
        value = self._candidate.value
        number, values = value if len(self._space) > 1 else (0, value)
        return {name: _value(values[name], e) for name, e in self._space[number].items()}

    def tell(self, _params: dict[str, Any], value: float) -> None:
        """Take the value of the configuration that was asked for last."""
        loss = self._sign * value if math.isfinite(value) else self._worst
        self._worst = max(self._worst, loss)
        self._optimizer.tell(self._candidate, loss)


def _parameter(entry: tuple[Any, ...]) -> Any:
    if entry[0] == "cat":
        return ng.p.Choice(range(len(entry[1]))) if len(entry[1]) > 1 else 0
    kind, low, high, log = entry
    made = (ng.p.Log if log else ng.p.Scalar)(lower=low, upper=high)
    return made.set_integer_casting() if kind == "int" else made


def _value(raw: float, entry: tuple[Any, ...]) -> object:
    if entry[0] == "cat":
        return entry[1][int(raw)]
    return int(raw) if entry[0] == "int" else min(max(float(raw), entry[1]), entry[2])
