"""The grid strategy: every combination exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.core.contracts import Observation
    from pytest_hypersearch.core.space import Space
    from pytest_hypersearch.core.trial import Config


@dataclass(frozen=True, slots=True)
class Grid:
    """Walks through the grid of a finite space, the rightmost parameter changing fastest."""

    adaptive: ClassVar[bool] = False

    def suggest(
        self,
        space: Space,
        *,
        seed: int,  # noqa: ARG002 - part of the protocol
        index: int,
        history: Sequence[Observation],  # noqa: ARG002 - part of the protocol
    ) -> Config | None:
        """Return the grid's configuration at the index, None beyond its end.

        Raises:
            ValueError: A parameter of the space is continuous.
        """
        if space.size is not None and index >= space.size:
            return None
        return space.grid_config(index)
