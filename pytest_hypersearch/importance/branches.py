"""Parameters of a space of several branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_hypersearch.space.choices import Choice, label_text

if TYPE_CHECKING:
    from pytest_hypersearch.space import Distribution


def tell_apart(one: Distribution, other: Distribution) -> bool:
    """Tell whether a parameter's value shows which of two branches a configuration is of.

    Such a parameter is one choice, whose options are spread over branches: in
    ``[{"optimizer": ["sgd"], "momentum": ...}, {"optimizer": ["adam"], ...}]`` it is ``optimizer``.
    """
    if not isinstance(one, Choice) or not isinstance(other, Choice):
        return False
    return {*map(label_text, one.labels)}.isdisjoint(map(label_text, other.labels))
