"""The bayes sampler as an optimizer of CARP-S, a benchmark of optimizers by others.

In an environment of its own, with this package, `carps` and what the tasks need (`ioh`: BBOB,
`pymoo`: several metrics):

    PYTHONPATH=benchmarks python -m carps.run +optimizer._target_=carps_optimizer.Bayes \
        +optimizer._partial_=true optimizer_id=bayes optimizer_container_id=bayes \
        +task/BBOB=cfg_2_1_0 seed=1 task.optimization_resources.n_trials=40

Conditions of a space are flattened, as in CARP-S's optimizers of nevergrad and Syne Tune: inactive
parameters are searched, but not handed on. Every trial runs at the full fidelity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from carps.optimizers.optimizer import Optimizer as CarpsOptimizer
from carps.utils.pareto_front import pareto
from carps.utils.trials import StatusType, TrialInfo, TrialValue
from ConfigSpace import (
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
)
from ConfigSpace.exceptions import ForbiddenValueError
from ConfigSpace.util import deactivate_inactive_hyperparameters

from pytest_hypersearch import choice, lograndint, loguniform, randint, uniform
from pytest_hypersearch.samplers import Optimizer


class Bayes(CarpsOptimizer):
    """Asks and tells `pytest_hypersearch.samplers.Optimizer`."""

    def __init__(self, task: Any, loggers: list[Any] | None = None) -> None:
        super().__init__(task, loggers)
        self._configspace = task.objective_function.configspace
        self._asked: dict[Configuration, dict[str, Any]] = {}
        self._told: list[tuple[TrialInfo, TrialValue]] = []

    def convert_configspace(self, configspace: ConfigurationSpace) -> dict[str, Any]:
        """Return the space of all parameters; a choice or an ordinal is the number of its value."""
        return {name: _distribution(entry) for name, entry in configspace.items()}

    def _setup_optimizer(self) -> Optimizer:
        count = self.task.output_space.n_objectives
        return Optimizer(
            self.convert_configspace(self._configspace),
            seed=self.task.seed,
            mode=["min"] * count if count > 1 else "min",
        )

    def ask(self) -> TrialInfo:
        """Return the next trial; a forbidden configuration counts as a failure."""
        while True:
            params = self.solver.ask()
            try:
                return self.convert_to_trial(params)
            except ForbiddenValueError:
                self.solver.tell(params, None)

    def convert_to_trial(self, params: dict[str, Any]) -> TrialInfo:  # type: ignore[override]
        """Return the trial of parameters as the solver proposed them."""
        values = {}
        for name, value in params.items():
            options = _options(self._configspace[name])
            values[name] = options[value] if options else value
        config = deactivate_inactive_hyperparameters(values, self._configspace)
        config.check_valid_configuration()
        self._asked[config] = params  # with inactive ones, which the trial lacks
        return TrialInfo(config=config, budget=self.task.input_space.fidelity_space.max_fidelity)

    def tell(self, trial_info: TrialInfo, trial_value: TrialValue) -> None:
        """Tell the cost, or that there is none."""
        params, cost = self._asked[trial_info.config], trial_value.cost
        if trial_value.status is not StatusType.SUCCESS:
            self.solver.tell(params, None)
            return
        self.solver.tell(params, cost[0] if isinstance(cost, list) and len(cost) == 1 else cost)
        self._told.append((trial_info, trial_value))

    def get_current_incumbent(self) -> Any:
        """Return the best trial and its value, with several costs all on the Pareto front."""
        if self.task.output_space.n_objectives == 1:
            return min(self._told, key=lambda each: each[1].cost, default=None)
        front = pareto(np.array([value.cost for _, value in self._told]))
        return [each for each, best in zip(self._told, front, strict=True) if best]


def _options(entry: Any) -> list[Any]:
    """Return the values of a choice or an ordinal in order, none of a number."""
    if isinstance(entry, CategoricalHyperparameter):
        return list(entry.choices)
    return list(entry.sequence) if isinstance(entry, OrdinalHyperparameter) else []


def _distribution(entry: Any) -> Any:
    if isinstance(entry, Constant):
        return [entry.value]
    if isinstance(entry, CategoricalHyperparameter):
        return choice(list(range(len(entry.choices))))
    if isinstance(entry, OrdinalHyperparameter):
        return randint(0, len(entry.sequence) - 1)
    whole = isinstance(entry.default_value, int)
    kinds = (lograndint, randint) if whole else (loguniform, uniform)
    return kinds[0 if getattr(entry, "log", False) else 1](entry.lower, entry.upper)
