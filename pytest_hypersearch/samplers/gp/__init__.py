"""The bayes strategy: Gaussian-process search. numpy and scipy are imported by its first use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.samplers import Observation
    from pytest_hypersearch.space import Space
    from pytest_hypersearch.trial import Config


@dataclass(frozen=True, slots=True)
class GP:
    """Proposes where a Gaussian process expects the largest improvement.

    The first few configurations fill the space evenly; then a model of all results so far is
    searched for the configuration of largest expected improvement, as if pending configurations
    would score what the model expects of them.
    """

    adaptive: ClassVar[bool] = True

    def suggest(
        self, space: Space, *, seed: int, index: int, history: Sequence[Observation]
    ) -> Config | None:
        """Return a configuration that is neither finished nor pending, None if there is none."""
        from pytest_hypersearch.samplers.gp.sampler import suggest
        from pytest_hypersearch.samplers.gp.threads import one_thread

        with one_thread():
            return suggest(space, seed, index, history)
