"""Frozen scipy.stats distributions as parameters; scipy.stats is imported when one is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space.numeric import TAIL, Numeric, real
from pytest_hypersearch.core.trial import Raw
from pytest_hypersearch.core.values import number_of, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


# scipy searches for discrete quantiles without a closed form, by steps from a first guess: far out
# (nbinom(3, 1e-15).ppf(1 - 1e-12), yulesimon(0.5)) it takes forever, or finds no end among floats.
_FAR: Final = 1.0 - 1e-8  # above it, isf is quick where ppf is not
_EXACT: Final = 2**53
_RARE: Final = 1e-6
_LARGEST_TABLE: Final = 2**20
_BEYOND: Final = 1e-3


@frozen
class Scipy(Numeric):
    """A distribution of ``scipy.stats``, identified by its name and arguments.

    A discrete one has the whole numbers of its support; where that has no end, those up to the
    quantile of 1 - 1e-12 (or from that of 1e-12 on).

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
            ValueError: It has no median, its values are too large for floats, or more than 1 in
                1,000 of them are beyond what can be tabulated.
        """
        if math.isnan(_quantile(self, 0.5)):
            raise ValueError(f"{self}: expected arguments that make a distribution")
        if _lacks(self, "_ppf") and not _quantile(self, 1.0 - _RARE) <= _EXACT:
            raise ValueError(f"{self}: expected arguments that give numbers below 2**53")
        if not all(math.isfinite(_quantile(self, u)) for u in (TAIL, 1.0 - TAIL)):
            raise ValueError(f"{self}: expected arguments that give finite numbers")
        table = _cumulative(self)
        if table is not None and table[-1] < 1.0 - _BEYOND:
            raise ValueError(
                f"{self}: expected at most 1 in 1,000 beyond the {_LARGEST_TABLE:,}th value"
            )

    @property
    def size(self) -> int | None:
        """Number of distinct values of a discrete distribution, None for a continuum."""
        if not _is_discrete(self):
            return None
        low, high = _ends(self)
        return int(high) - int(low) + 1

    @property
    def equal_shares(self) -> bool:
        """Whether all values of a finite range are known to be equally likely."""
        return self.name == "randint"

    def at(self, position: int) -> int:
        """Return the value at a position of a discrete distribution."""
        return int(_ends(self)[0]) + position

    def position(self, raw: Raw) -> int:
        """Return the position of a value of a discrete distribution."""
        return int(real(raw)) - int(_ends(self)[0])

    def from_unit(self, u: float) -> int | float:
        """Return the quantile of u in [0, 1], its ends moved inward by 1e-12."""
        low, high = _ends(self)
        value = min(max(_quantile(self, min(max(u, TAIL), 1.0 - TAIL)), low), high)
        return int(value) if _is_discrete(self) else value

    def to_unit(self, raw: Raw) -> float:
        """Return the cumulative probability of the value, the middle of its step if discrete."""
        value = real(raw)
        upto = _probability(self, value)
        return (_probability(self, value - 1) + upto) / 2 if _is_discrete(self) else upto

    def contains(self, raw: Raw) -> bool:
        """Tell whether raw is a value: an int if discrete, a float otherwise."""
        if type(raw) is not (int if _is_discrete(self) else float):
            return False
        low, high = _ends(self)
        return low <= real(raw) <= high and math.isfinite(real(raw))

    def _nearest(self, number: float) -> int | float:
        whole = _is_discrete(self) and number == int(number)
        return int(number) if whole else float(number)

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
        ValueError: The distribution is a user's own, or one of its arguments is not a number.
    """
    import scipy.stats

    name = str(value.dist.name)
    if not hasattr(scipy.stats, name):
        raise ValueError(f"{name}(...): expected a distribution of scipy.stats, or choice(...)")
    args = tuple(_argument(name, entry) for entry in value.args)
    kwds = tuple((str(key), _argument(name, entry)) for key, entry in value.kwds.items())
    return Scipy(name, args, kwds)


def _argument(name: str, value: object) -> int | float:
    number = number_of(value)
    if number is None:
        raise ValueError(f"scipy.stats.{name}({shown(value)}): expected numbers as arguments")
    return number


@lru_cache(maxsize=256)
def _frozen(distribution: Scipy) -> Any:  # noqa: ANN401 - scipy's frozen types are private
    import scipy.stats

    kind = getattr(scipy.stats, distribution.name, None)
    # The name may come from a file, and scipy.stats has functions that do other things.
    if not isinstance(kind, (scipy.stats.rv_continuous, scipy.stats.rv_discrete)):
        raise ValueError(f"scipy.stats has no distribution {distribution.name!r}")  # noqa: TRY004  the value is wrong
    return kind(*distribution.args, **dict(distribution.kwds))


@lru_cache(maxsize=256)
def _ends(distribution: Scipy) -> tuple[float, float]:
    """Return the ends of the support; of a discrete one without an end, its outermost quantiles."""
    low, high = map(float, _frozen(distribution).support())
    if _is_discrete(distribution):
        low = low if math.isfinite(low) else _quantile(distribution, TAIL)
        high = high if math.isfinite(high) else max(low, _quantile(distribution, 1.0 - TAIL))
    return low, high


def _quantile(distribution: Scipy, u: float) -> float:
    """Return the quantile, at most the last value of a table, NaN if scipy finds none."""
    frozen = _frozen(distribution)
    if (table := _cumulative(distribution)) is not None:
        return float(frozen.support()[0]) + min(int(table.searchsorted(u)), len(table) - 1)
    with _quietly():
        try:
            far = _is_discrete(distribution) and u > _FAR
            return float(frozen.isf(1.0 - u) if far else frozen.ppf(u))
        except RuntimeError:
            return math.nan


def _probability(distribution: Scipy, value: float) -> float:
    frozen = _frozen(distribution)
    if (table := _cumulative(distribution)) is not None:
        position = math.floor(value - float(frozen.support()[0]))
        return float(table[min(position, len(table) - 1)]) if position >= 0 else 0.0
    with _quietly():
        return float(frozen.cdf(value))


@lru_cache(maxsize=8)
def _cumulative(distribution: Scipy) -> NDArray[np.float64] | None:
    """Return the lowest values' cumulative probabilities, None if scipy knows these in closed form.

    For each quantile scipy would sum them anew, over as many values as it takes.
    """
    import numpy as np

    frozen = _frozen(distribution)
    low, high = map(float, frozen.support())
    if not _lacks(distribution, "_cdf") or not math.isfinite(low):
        return None
    most = int(min(high - low + 1, _LARGEST_TABLE))
    count = 0
    table = np.zeros(1)
    while table[-1] < 1.0 - TAIL and count < most:
        count = min(max(1024, 4 * count), most)
        with _quietly():
            table = np.cumsum(frozen.pmf(low + np.arange(count)))
    return table


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
