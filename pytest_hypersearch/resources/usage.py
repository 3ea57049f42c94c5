"""What a trial used: the peak of its process's memory, and its CPU time."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

_PEAK = re.compile(rb"VmHWM:\s*(\d+) kB")
_RESET_PEAK = b"5"  # see proc_pid_clear_refs(5)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used between two moments.

    Attributes:
        peak_memory: The most bytes that were resident in this process at once, which of them the
            trial asked for or not; None where the system keeps no such peak.
        cpu_time: Seconds of this process and of its children that have ended.
    """

    peak_memory: int | None
    cpu_time: float


class Meter:
    """Measures one trial at a time; under 20 microseconds each.

    Args:
        alone: Whether this process runs nothing but the trial, so that its peak is the trial's.
    """

    def __init__(self, *, alone: bool = False) -> None:
        self._alone = alone
        self._cpu = 0.0

    def start(self) -> None:
        """Begin."""
        if self._peaks is not None:
            os.pwrite(self._peaks[0], _RESET_PEAK, 0)
        self._cpu = _cpu_seconds()

    def stop(self) -> Usage:
        """What was used since the beginning."""
        return Usage(self._peak(), round(_cpu_seconds() - self._cpu, 6))

    def close(self) -> None:
        """Close the system's files."""
        for file in self._peaks or ():
            os.close(file)
        self._peaks = None

    @cached_property
    def _peaks(self) -> tuple[int, int] | None:
        """Where Linux resets and tells the peak; opened once, as opening costs more than both."""
        try:
            reset = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            os.pwrite(reset, _RESET_PEAK, 0)
            return reset, os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            os.close(reset)
            return None

    def _peak(self) -> int | None:
        if self._peaks is not None:
            found = _PEAK.search(os.pread(self._peaks[1], 4096, 0))
            return int(found[1]) * 1024 if found else None
        if not self._alone:
            return None
        most = getrusage(RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _cpu_seconds() -> float:
    own, children = getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
