"""The typed form of the ``sweep`` mark. Every session imports it, with or without sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias, TypedDict

if TYPE_CHECKING:
    from os import PathLike

    import pytest

    from pytest_hypersearch.core.contracts import Pruner
    from pytest_hypersearch.core.goals import Mode, ScopeName


Branch: TypeAlias = Mapping[str, Any]
SpaceLike: TypeAlias = Branch | Sequence[Branch]


class Dataclass(Protocol):
    """A dataclass, for the argument ``base``."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Model(Protocol):
    """A pydantic model, for the argument ``base``."""

    @property
    def model_fields_set(self) -> set[str]:
        """Names of the fields that were given."""


Base: TypeAlias = Mapping[str, Any] | Dataclass | Model


class Stop(TypedDict, total=False):
    """What ends a sweep before its plan: the argument ``stop``."""

    score: float
    patience: int
    min_delta: float
    time: float | str
    trials: int


class Replicates(TypedDict):
    """Replicates that end when the gates have decided: the argument ``replicates``."""

    at_least: int
    at_most: int


class Gate(TypedDict, total=False):
    """How a metric is judged: a value of the argument ``gate``."""

    tolerance: float | str
    threshold: str
    mode: Mode
    top: int | Literal["all"]
    alpha: float
    strict: bool


def sweep(
    *,
    grid: SpaceLike | None = None,
    random: SpaceLike | None = None,
    bayes: SpaceLike | None = None,
    strategy: str | None = None,
    space: SpaceLike | None = None,
    n_trials: int | None = None,
    metric: str | Sequence[str] | None = None,
    mode: Mode | Sequence[Mode] | None = None,
    constraints: Mapping[str, str] | None = None,
    seed: int | None = None,
    replicates: int | Replicates | None = None,
    pick: str | None = None,
    points: Sequence[Branch] | str | None = None,
    base: Base | None = None,
    group_by: str | Sequence[str] | None = None,
    name: str | None = None,
    keep: int | Literal["all"] | None = None,
    retries: int | None = None,
    race: bool | None = None,
    prune: str | Pruner | None = None,
    stop: Stop | None = None,
    timeout: float | str | None = None,
    parallel: int | None = None,
    raises: type[BaseException] | tuple[type[BaseException], ...] | None = None,
    scope: ScopeName | None = None,
    indirect: bool | Sequence[str] | None = None,
    depends_on: str | PathLike[str] | Sequence[str | PathLike[str]] | None = None,
    resources: Mapping[str, float | str] | None = None,
    isolate: bool | None = None,
    gate: bool | Mapping[str, float | str | Gate] | None = None,
) -> pytest.MarkDecorator:
    """Mark a test for a sweep; the same as ``pytest.mark.sweep``, but checked by type checkers.

    Exactly one of ``grid``, ``random``, ``bayes`` and ``strategy`` (with ``space``) is required.
    The arguments are validated when pytest collects the test.

    Args:
        grid: Parameter name to the values to combine, or a list of such grids.
        random: Parameter name to a distribution to draw from, or a list of such spaces.
        bayes: The same for the Bayesian sampler.
        strategy: Name of another sampler: one of Optuna's, such as ``"optuna:TPESampler"``, or one
            of a plugin.
        space: The search space of ``strategy``.
        n_trials: Total number of configurations to try; not for ``grid``, which tries all.
        metric: Name of the score; default ``"score"``. A bare number that the test returns is
            recorded under this name. A list of names searches their Pareto front; the first one is
            the score.
        mode: ``"min"`` if lower scores are better, else ``"max"``; one for each metric of a list.
            By default what the metric's name implies: ``"max"`` for ``val_accuracy``, ``roc_auc``,
            ``f1``, ``reward`` and the like, ``"min"`` for others and without ``metric``.
        constraints: Bounds on metrics, such as ``{"latency": "<= 50"}``. Configurations that
            satisfy all of them rank first.
        seed: Seed of the sampler and of the trials; default 0.
        replicates: Number of trials per configuration; default 1. With a gate, ``{"at_least": 3,
            "at_most": 20}`` runs more than three only for the configurations that are judged, and
            only until the gate has decided.
        pick: Rule by which the best configuration is chosen from its replicates: the ``"mean"``
            (default), ``"median"``, ``"max"`` or ``"min"`` of its scores. Of the configurations
            whose mean is within one standard error of the best mean, ``"one-se"`` takes the first
            of a grid, and ``"one-se:NAME"`` the one with the lowest parameter or metric of that
            name.
        points: Complete configurations that are tried first, or the name of a stored run, such as
            ``"test_mlp@-1"``, whose best configurations are tried first.
        base: Nested configuration; ``trial.config`` is a copy patched by the parameters, whose
            names may be dotted (``"training.lr"``). A dict, a dataclass, a pydantic model or a
            config of OmegaConf; the copy is of the same kind, with its checks of values.
        group_by: Parameter or parameters by which the summary groups.
        name: Name of the sweep; default: the name of the strategy. Required if a test has two
            sweeps of the same strategy.
        keep: Number of best configurations whose files in ``trial.path`` are kept, or ``"all"``;
            default 1. Files of failed trials stay with the run.
        retries: How often a trial is restarted if its process dies; default 1.
        race: Whether further replicates run only for configurations that may still be the best;
            needs at least three replicates.
        prune: Rule that ends unpromising trials early, by the values that they report:
            ``"forecast"``, ``"median"``, ``"percentile:25"``, ``"halving"``, ``"hyperband"``,
            ``"threshold:>10"``, ``"patience:20"``, ``"wilcoxon"`` or an object, see
            `pytest_hypersearch.search.pruners`.
        stop: Conditions that end the sweep early, such as ``{"score": 0.01, "patience": 20,
            "min_delta": 0.001, "time": "30m", "trials": 100}``; the first one that holds ends it.
        timeout: Time limit of a trial, in seconds or as text such as ``"10m"``; needs
            pytest-timeout.
        parallel: Largest number of configurations that run at a time. Each is proposed from results
            that do not depend on timing, so that any number of workers up to this one gives the
            same configurations.
        raises: Exceptions that fail the trial, but not the session.
        scope: Scope of the parameters, as in ``parametrize``; default ``"function"``.
        indirect: True or names: parameters that go through fixtures, as in ``parametrize``.
        depends_on: Files that trials read. Stored trials are stale if the contents change.
        resources: What a trial needs of its machine while it runs, such as ``{"cpus": 2, "gpus": 1,
            "memory": "4GiB"}``. It starts when all of this is free. Trials that need a fraction of
            a GPU share one.
        isolate: Whether to run each trial in a new process.
        gate: Conditions that fail the session, with three replicates or more: metrics that got
            worse than in ``--sweep-baseline`` by more than a tolerance, such as ``{"val_loss":
            "1%", "accuracy": 0.005}`` (``True`` stands for 1% of the sweep's metric), or that miss
            a threshold, such as ``{"accuracy": ">= 0.95"}``. A dict instead of the tolerance may
            have ``tolerance``, ``threshold``, ``mode`` (needed for a metric that the sweep does not
            optimise), ``top`` (how many of the best configurations are judged, or ``"all"``;
            default 3), ``alpha`` (probability of a false alarm; default 0.05) and ``strict``
            (``True``: only a loss that is significantly above the tolerance is an alarm).

    Returns:
        The mark, to be used as a decorator or in ``pytestmark``.
    """
    given = {name: value for name, value in locals().items() if value is not None}
    import pytest

    mark: pytest.MarkDecorator = pytest.mark.sweep(**given)
    return mark
