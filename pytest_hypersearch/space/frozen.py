"""Frozen scipy.stats distributions as parameters; scipy.stats is imported when one is used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.given import number_of, scalar_of, shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from pytest_hypersearch.trial import Raw

_TAIL = 1e-12  # the unit interval's ends have no finite quantile


@dataclass(frozen=True, slots=True)
class Scipy:
    """A distribution of ``scipy.stats``, known by its name and arguments.

    Attributes:
        name: Name of the distribution in ``scipy.stats``.
        args: Positional arguments: numbers.
        kwds: Keyword arguments as pairs.
    """

    name: str
    args: tuple[int | float, ...] = ()
    kwds: tuple[tuple[str, int | float], ...] = ()

    def check(self) -> None:
        """Refuse arguments that make no distribution.

        Raises:
            ValueError: It has no median, or its values are too large for floats.
        """
        if math.isnan(_quantile(self, 0.5)):
            raise ValueError(f"{self}: expected arguments that make a distribution")
        ends = () if _is_discrete(self) else (_TAIL, 1.0 - _TAIL)
        if not all(math.isfinite(_quantile(self, u)) for u in ends):
            raise ValueError(f"{self}: expected arguments that give finite numbers")

    @property
    def size(self) -> int | None:
        """Number of distinct values: the support of a bounded discrete distribution."""
        low, high = _bounds(self)
        if not _is_discrete(self) or not math.isfinite(high - low):
            return None
        return int(high - low) + 1

    @property
    def equal_shares(self) -> bool:
        """Whether all values of a finite range are known to be equally likely."""
        return self.name == "randint"

    def at(self, position: int) -> Raw:
        """Return the value at a position of the finite support."""
        return int(_bounds(self)[0]) + position

    def position(self, raw: Raw) -> int:
        """Return the position of a value in the finite support."""
        return int(_real(raw) - _bounds(self)[0])

    def from_unit(self, u: float) -> Raw:
        """Return the quantile of u in [0, 1], its ends moved inward by 1e-12."""
        low, high = _bounds(self)
        value = min(max(_quantile(self, min(max(u, _TAIL), 1.0 - _TAIL)), low), high)
        return int(value) if _is_discrete(self) else value

    def to_unit(self, raw: Raw) -> float:
        """Return the cumulative probability of the value, the middle of its step if discrete."""
        value = _real(raw)
        upto = _probability(self, value)
        return (_probability(self, value - 1) + upto) / 2 if _is_discrete(self) else upto

    def centre(self) -> Raw:
        """Return the median."""
        return self.from_unit(0.5)

    def contains(self, raw: Raw) -> bool:
        """Tell whether raw is a number of the support: an int if discrete, a float otherwise."""
        if type(raw) is not (int if _is_discrete(self) else float):
            return False
        low, high = _bounds(self)
        return low <= _real(raw) <= high and math.isfinite(_real(raw))

    def encode(self, value: object) -> Raw:
        """Return the number that stands for a user's value.

        Raises:
            ValueError: The value is no number of the support.
        """
        number = number_of(value)
        if number is not None:
            whole = _is_discrete(self) and number == int(number)
            raw: Raw = int(number) if whole else float(number)
            if self.contains(raw):
                return raw
        raise ValueError(f"{shown(value)}: expected a value of {self}")

    def decode(self, raw: Raw) -> object:
        """Return what the test gets: the value itself."""
        return raw

    def to_json(self) -> dict[str, object]:
        """Return a JSON object from which `distribution_from_json` restores this."""
        return {
            "kind": "scipy",
            "name": self.name,
            "args": list(self.args),
            "kwds": dict(self.kwds),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Scipy:
        """Return the distribution that a JSON object describes."""
        return cls(str(record["name"]), tuple(record["args"]), tuple(record["kwds"].items()))

    def __str__(self) -> str:
        pairs = [f"{key}={value!r}" for key, value in self.kwds]
        return f"scipy.stats.{self.name}({', '.join([*map(repr, self.args), *pairs])})"


def is_frozen(value: object) -> bool:
    """Tell whether a value looks like a frozen scipy.stats distribution."""
    return hasattr(getattr(value, "dist", None), "name") and hasattr(value, "ppf")


def from_frozen(value: Any) -> Scipy:  # noqa: ANN401 - scipy's frozen types are private
    """Return the parameter behind a frozen scipy.stats distribution.

    Raises:
        ValueError: The distribution is a user's own, or one of its arguments is no number.
    """
    import scipy.stats

    name = str(value.dist.name)
    if not hasattr(scipy.stats, name):
        raise ValueError(f"{name}(...): expected a distribution of scipy.stats, or choice(...)")
    args = tuple(_argument(name, entry) for entry in value.args)
    kwds = tuple((str(key), _argument(name, entry)) for key, entry in value.kwds.items())
    return Scipy(name, args, kwds)


def _argument(name: str, value: Any) -> int | float:  # noqa: ANN401 - any user's value
    number = scalar_of(value)
    if isinstance(number, (int, float)) and not isinstance(number, bool):
        return number
    raise ValueError(f"scipy.stats.{name}({shown(value)}): expected numbers as arguments")


@lru_cache(maxsize=256)
def _frozen(distribution: Scipy) -> Any:  # noqa: ANN401 - scipy's frozen types are private
    import scipy.stats

    kind = getattr(scipy.stats, distribution.name, None)
    # The name may come from a file, and scipy.stats has functions that do other things.
    if not isinstance(kind, (scipy.stats.rv_continuous, scipy.stats.rv_discrete)):
        raise ValueError(f"scipy.stats has no distribution {distribution.name!r}")  # noqa: TRY004  the value is wrong
    return kind(*distribution.args, **dict(distribution.kwds))


def _quantile(distribution: Scipy, u: float) -> float:
    with _quietly():
        return float(_frozen(distribution).ppf(u))


def _probability(distribution: Scipy, value: float) -> float:
    with _quietly():
        return float(_frozen(distribution).cdf(value))


def _quietly() -> AbstractContextManager[object]:
    import numpy as np

    return np.errstate(all="ignore")


def _is_discrete(distribution: Scipy) -> bool:
    return hasattr(_frozen(distribution), "pmf")


def _bounds(distribution: Scipy) -> tuple[float, float]:
    low, high = _frozen(distribution).support()
    return float(low), float(high)


def _real(raw: Raw) -> float:
    if isinstance(raw, (int, float)):
        return float(raw)
    raise TypeError(f"{raw!r} is no number")
