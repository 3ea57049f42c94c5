"""The machine's clocks, out of reach of tests that freeze the time.

freezegun replaces every attribute of a loaded module that is a function of `time`; it passes over
objects that merely hold one.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Final

monotonic: Final = partial(time.perf_counter)
"""Seconds that only ever grow, for durations and pauses."""

wall: Final = partial(time.time)
"""Seconds since 1970, for what is recorded."""
