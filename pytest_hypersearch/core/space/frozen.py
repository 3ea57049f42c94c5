"""Frozen scipy.stats distributions as parameters; scipy.stats is imported when one is used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.core.values import number_of, scalar_of, shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from pytest_hypersearch.core.trial import Raw


_TAIL = 1e-12  # the unit interval's ends have no finite quantile
_FAR = 1.0 - 1e-8  # from where on some discrete quantiles are quick from above only
_EXACT = 2**53  # among larger floats scipy's search for a whole number may not end
_RARE = 1e-6
_SUMMED = 2**20
_BEYOND = 1e-3


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
            ValueError: It has no median, its values are too large for floats, or more than
                `_BEYOND` of them are beyond what can be summed.
        """
        if math.isnan(_quantile(self, 0.5)):
            raise ValueError(f"{self}: expected arguments that make a distribution")
        ends = () if _is_discrete(self) else (_TAIL, 1.0 - _TAIL)
        if not all(math.isfinite(_quantile(self, u)) for u in ends):
            raise ValueError(f"{self}: expected arguments that give finite numbers")
        if _lacks(self, "_ppf") and not _quantile(self, 1.0 - _RARE) <= _EXACT:
            raise ValueError(f"{self}: expected arguments that give numbers below 2**53")
        sums = _sums(self)
        if sums is not None and sums[-1] < 1.0 - _BEYOND:
            raise ValueError(f"{self}: expected at most 1 in 1,000 beyond the {_SUMMED:,}th value")

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
    """Return the quantile, at most the last value of `_sums`, NaN if scipy finds none."""
    if (sums := _sums(distribution)) is not None:
        return _bounds(distribution)[0] + min(int(sums.searchsorted(u)), len(sums) - 1)
    frozen = _frozen(distribution)
    with _quietly():
        try:
            far = _is_discrete(distribution) and u > _FAR
            return float(frozen.isf(1.0 - u) if far else frozen.ppf(u))
        except RuntimeError:
            return math.nan


def _probability(distribution: Scipy, value: float) -> float:
    if (sums := _sums(distribution)) is not None:
        place = math.floor(value - _bounds(distribution)[0])
        return float(sums[min(place, len(sums) - 1)]) if place >= 0 else 0.0
    with _quietly():
        return float(_frozen(distribution).cdf(value))


@lru_cache(maxsize=8)
def _sums(distribution: Scipy) -> NDArray[np.float64] | None:
    """Return the lowest values' cumulative probabilities, None if scipy knows these in closed form.

    For each quantile scipy would sum them anew, over as many values as it takes.
    """
    import numpy as np

    frozen = _frozen(distribution)
    low, high = _bounds(distribution)
    if not _lacks(distribution, "_cdf") or not math.isfinite(low):
        return None
    most = int(min(high - low + 1, _SUMMED))
    count = 0
    sums = np.zeros(1)
    while sums[-1] < 1.0 - _TAIL and count < most:
        count = min(max(1024, 4 * count), most)
        with _quietly():
            sums = np.cumsum(frozen.pmf(low + np.arange(count)))
    return sums


def _quietly() -> AbstractContextManager[object]:
    import numpy as np

    return np.errstate(all="ignore")


def _is_discrete(distribution: Scipy) -> bool:
    return hasattr(_frozen(distribution), "pmf")


def _lacks(distribution: Scipy, formula: str) -> bool:
    """Tell whether scipy has no closed form of a discrete distribution's; nothing public does."""
    from scipy.stats import rv_discrete

    kind = type(_frozen(distribution).dist)
    return issubclass(kind, rv_discrete) and getattr(kind, formula) is getattr(rv_discrete, formula)


def _bounds(distribution: Scipy) -> tuple[float, float]:
    low, high = _frozen(distribution).support()
    return float(low), float(high)


def _real(raw: Raw) -> float:
    if isinstance(raw, (int, float)):
        return float(raw)
    raise TypeError(f"{raw!r} is not a number")
