"""Work on files that nobody waits for: one thread, in the order of the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor


class Background:
    """Does jobs one after another, beside the session; there is no thread before the first.

    Args:
        warn: Takes one line that the user must see; called once at most.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._warned = False
        self._executor: Executor | None = None

    def submit(self, job: Callable[[], object]) -> None:
        """Do a job after those before it. An error in it ends that job alone."""
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor

            self._executor = ThreadPoolExecutor(1, "hypersearch")
        self._executor.submit(self._do, job)

    def wait(self) -> None:
        """Wait until all jobs so far are done."""
        if self._executor is not None:
            self._executor.submit(int).result()

    def close(self) -> None:
        """Wait until all jobs are done; more may come, and will start a new thread."""
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None

    def _do(self, job: Callable[[], object]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001  whatever happens to files, results are kept
            if not self._warned:
                self._warned = True
                self._warn(f"the best trials' files are not up to date: {_reason(error)}")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)
