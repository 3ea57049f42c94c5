"""NGOpt of nevergrad behind the ask and tell of contender.py, to be compared with."""

from __future__ import annotations

import math
from typing import Any

import nevergrad as ng
import numpy as np


class Contender:
    """Proposes configurations, one at a time; the arguments are those of contender.py.

    A failed trial counts as the worst one seen so far: nevergrad knows no failures.
    """

    multi = False

    def __init__(
        self, space: dict[str, Any], seed: int, direction: str = "minimize", n_trials: int = 0
    ) -> None:
        self._space, self._sign = space, 1.0 if direction == "minimize" else -1.0
        parameters = ng.p.Dict(**{name: _parameter(entry) for name, entry in space.items()})
        parameters.random_state = np.random.RandomState(seed)
        self._optimizer = ng.optimizers.NGOpt(parameters, budget=n_trials)
        self._worst = 0.0

    def ask(self) -> dict[str, Any]:
        """Return the next configuration."""
        self._candidate = self._optimizer.ask()
        return {name: _value(self._candidate.value[name], e) for name, e in self._space.items()}

    def tell(self, _params: dict[str, Any], value: float) -> None:
        """Take the value of the configuration that was asked for last."""
        loss = self._sign * value if math.isfinite(value) else self._worst
        self._worst = max(self._worst, loss)
        self._optimizer.tell(self._candidate, loss)


def _parameter(entry: tuple[Any, ...]) -> Any:
    if entry[0] == "cat":
        return ng.p.Choice(range(len(entry[1])))
    kind, low, high, log = entry
    made = (ng.p.Log if log else ng.p.Scalar)(lower=low, upper=high)
    return made.set_integer_casting() if kind == "int" else made


def _value(raw: float, entry: tuple[Any, ...]) -> object:
    if entry[0] == "cat":
        return entry[1][int(raw)]
    return int(raw) if entry[0] == "int" else min(max(float(raw), entry[1]), entry[2])
