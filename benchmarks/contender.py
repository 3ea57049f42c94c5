"""The bayes sampler behind a plain ask and tell, for benchmarks that know nothing of pytest."""

from __future__ import annotations

import gzip
import math
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pytest_hypersearch.core.space import (
    Distribution,
    Space,
    choice,
    lograndint,
    loguniform,
    randint,
    uniform,
)
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.samplers import Observation
from pytest_hypersearch.search.gp import GP


class Contender:
    """Proposes configurations of a benchmark's space and is told their values.

    Args:
        space: Name to ("float" | "int", low, high, log) or ("cat", choices); a list of such dicts
            for a conditional space.
        seed: Of all random decisions.
        direction: "minimize" or "maximize".
        n_trials: How many will be asked for; not used.
    """

    multi = True

    def __init__(
        self,
        space: dict[str, Any] | list[dict[str, Any]],
        seed: int,
        direction: str = "minimize",
        n_trials: int = 0,
    ) -> None:
        self._sign = 1.0 if direction == "minimize" else -1.0
        self._seed, self._n_trials = seed, n_trials
        branches = space if isinstance(space, list) else [space]
        self._choices: dict[str, list[Any]] = {}
        self._space = Space(
            tuple(
                {name: self._distribution(name, entry) for name, entry in branch.items()}
                for branch in branches
            )
        )
        self._finished: list[Observation] = []
        self._pending: list[tuple[dict[str, Any], Observation]] = []
        self._asked: list[dict[str, Any]] = []

    def ask(self) -> dict[str, Any]:
        """Return the next configuration; one that was seen before if there is no other."""
        history = [*self._finished, *(pending for _, pending in self._pending)]
        config = GP().suggest(self._space, seed=self._seed, index=len(self._asked), history=history)
        if config is None:
            best = [o for o in self._finished if o.scores]
            config = min(best or self._finished, key=lambda o: o.scores).params
        observation = Observation(len(self._asked), dict(config), State.RUNNING)
        params = {
            name: self._choices[name][int(raw)] if name in self._choices else raw  # type: ignore[arg-type]
            for name, raw in config.items()
        }
        self._asked.append(params)
        self._pending.append((params, observation))
        return params

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Take the value of a configuration; NaN or infinite for a failure."""
        place = next(i for i, (asked, _) in enumerate(self._pending) if asked is params)
        _, asked = self._pending.pop(place)
        failed = value is None or not math.isfinite(value)
        state = State.FAILED if failed else State.COMPLETE
        scores = () if failed else (self._sign * float(value),)
        self._finished.append(Observation(asked.index, asked.params, state, scores))

    def recommend(self) -> dict[str, Any] | None:
        """Return the configuration told whose posterior mean is best, None without a model."""
        index = GP().recommend(self._space, self._finished)
        return None if index is None else self._asked[index]

    def _distribution(self, name: str, entry: tuple[Any, ...]) -> Distribution:
        if entry[0] == "cat":  # by position: a benchmark's choices may be any objects
            options = self._choices.setdefault(name, [])
            options += [option for option in entry[1] if option not in options]
            return choice([options.index(option) for option in entry[1]])
        kind, low, high, log = entry
        if kind == "int":
            return lograndint(low, high) if log else randint(low, high)
        return loguniform(low, high) if log else uniform(low, high)


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file of runs, which may be compressed."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return text.decode().splitlines()
