"""The bayes strategy: Gaussian-process search. numpy and scipy are imported by its first use."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from pytest_hypersearch.core.contracts import Observation
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.trial import Config

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


@frozen
class GP:
    """Proposes where a Gaussian process expects the largest improvement.

    The first few configurations fill the space evenly; then a model of all results so far is
    searched for the configuration of largest expected improvement, as if pending configurations
    would score what the model expects of them. With many numeric parameters, a second model of the
    results around the best one has every other turn.
    """

    adaptive: ClassVar[bool] = True

    def suggest(
        self, space: Space, *, seed: int, index: int, history: Sequence[Observation]
    ) -> Config | None:
        """Return a configuration that is neither finished nor pending, None if there is none."""
        from pytest_hypersearch.search.gp.sampler import suggest

        with one_thread():
            return suggest(space, seed, index, history)

    def recommend(self, space: Space, history: Sequence[Observation]) -> int | None:
        """Return the index of the finished configuration with the best posterior mean."""
        from pytest_hypersearch.search.gp.sampler import recommended

        with one_thread():
            return recommended(space, history)

    def preload(self) -> None:
        """Import numpy and scipy."""
        import pytest_hypersearch.search.gp.sampler  # noqa: F401  for what it imports

        _controller()


def one_thread() -> AbstractContextManager[object]:
    """Let BLAS use one thread for a while.

    For matrices of a few hundred rows, threads wait for each other longer than they work; and their
    number changes the last digits, while proposals must not depend on the process.
    """
    controller = _controller()
    return nullcontext() if controller is None else controller.limit(limits=1, user_api="blas")


@cache
def _controller() -> ThreadpoolController | None:
    import scipy.linalg  # noqa: F401  loads its BLAS, which the controller would not know else
    from threadpoolctl import ThreadpoolController

    try:
        return ThreadpoolController()
    except OSError:  # on Linux without /proc, which tells of libraries
        return None
