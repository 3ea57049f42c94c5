"""The ``sweep`` mark: its arguments, validated, and the sweep that they describe."""

from pytest_hypersearch.marks.arguments import from_mark
from pytest_hypersearch.marks.declared import Sweep
from pytest_hypersearch.marks.values import SweepError

__all__ = ["Sweep", "SweepError", "from_mark"]
