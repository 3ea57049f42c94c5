"""What a share means to the process that runs the trial: its GPUs and its numbers of threads."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pytest_hypersearch.resources.machine import VISIBLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_hypersearch.resources.demand import Share

THREAD_VARIABLES = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def environment(share: Share) -> dict[str, str]:
    """The variables that a share sets; those of what it does not hold are left alone."""
    threads = dict.fromkeys(THREAD_VARIABLES if share.cpus else (), str(share.cpus))
    return threads | ({VISIBLE: ",".join(share.gpus)} if share.gpus else {})


@contextmanager
def confined(share: Share) -> Iterator[None]:
    """Keep this process to a share, and leave it as it was."""
    changes = environment(share)
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        with ExitStack() as stack:
            # Libraries read their variables when they are loaded, and never again.
            if share.cpus and "numpy" in sys.modules:
                from threadpoolctl import threadpool_limits

                stack.enter_context(threadpool_limits(limits=share.cpus))
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
