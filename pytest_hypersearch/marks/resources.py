"""The ``resources`` of a mark, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_hypersearch.given import number_of
from pytest_hypersearch.marks.values import wrong
from pytest_hypersearch.resources.demand import Demand

KINDS = ("cpus", "gpus", "memory")

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT])(i?)B\s*", re.ASCII)
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


def resources_of(given: Mapping[str, Any]) -> Demand | None:
    """Read what each trial demands of its machine, None if nothing.

    Raises:
        SweepError: It is no dict of known kinds to amounts.
    """
    if "resources" not in given:
        return None
    wanted = given["resources"]
    if not isinstance(wanted, Mapping) or not wanted or not set(wanted) <= set(KINDS):
        raise wrong("resources", wanted, "expected a dict with some of 'cpus', 'gpus', 'memory'")
    return Demand(
        cpus=_cpus(wanted) if "cpus" in wanted else 0,
        gpus=_gpus(wanted) if "gpus" in wanted else 0,
        memory=_memory(wanted) if "memory" in wanted else 0,
    )


def _cpus(wanted: Mapping[str, Any]) -> int:
    number = number_of(wanted["cpus"])
    if number is None or number < 1 or number != int(number):
        raise wrong("resources", wanted, "expected 'cpus' to be an integer of at least 1")
    return int(number)


def _gpus(wanted: Mapping[str, Any]) -> float:
    number = number_of(wanted["gpus"])
    if number is None or number <= 0 or (number > 1 and number != int(number)):
        raise wrong(
            "resources", wanted, "expected 'gpus' to be a fraction of one or a whole number"
        )
    return number


def _memory(wanted: Mapping[str, Any]) -> int:
    value = wanted["memory"]
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match:
        base = 1024 if match[3] else 1000
        value = float(match[1]) * base ** _POWERS[match[2]] // 1
    number = number_of(value)
    if number is None or number < 1 or number != int(number):
        raise wrong("resources", wanted, "expected 'memory' to be bytes or a text such as '4GiB'")
    return int(number)
