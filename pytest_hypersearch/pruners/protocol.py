"""What a pruner is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.pruners.curves import Curve


@runtime_checkable
class Pruner(Protocol):
    """A rule that says when a trial is to be stopped."""

    def verdict(self, trial: Curve, others: Sequence[Curve], *, since: float) -> str:
        """Return why to prune the trial, in one line, or an empty text to let it go on.

        Args:
            trial: What it has reported so far.
            others: The curves of the study's other configurations in a fixed order, those of
                running and of pruned trials included.
            since: The step up to which the trial has been reviewed; minus infinity at first. All
                later steps are to be looked at, of which there may be several.
        """
        ...
