"""Pruners: which trials to stop early. Importing this package imports neither numpy nor scipy.

A pruner is a pure function of the curves that trials have reported: no state, no random numbers,
so that any process that knows the curves decides alike.
"""

from __future__ import annotations

from pytest_hypersearch.core.contracts import Curve, Pruner
from pytest_hypersearch.search.pruners.bounds import Patience, Threshold
from pytest_hypersearch.search.pruners.forecast import Forecast
from pytest_hypersearch.search.pruners.halving import Halving, Hyperband
from pytest_hypersearch.search.pruners.median import Median, Percentile
from pytest_hypersearch.search.pruners.parse import pruner
from pytest_hypersearch.search.pruners.wilcoxon import Wilcoxon

__all__ = [
    "Curve",
    "Forecast",
    "Halving",
    "Hyperband",
    "Median",
    "Patience",
    "Percentile",
    "Pruner",
    "Threshold",
    "Wilcoxon",
    "pruner",
]
