"""One thread for linear algebra, whatever the process has."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """Let BLAS use one thread for a while.

    For matrices of a few hundred rows, threads wait for each other longer than they work; and their
    number changes the last digits, while proposals must not depend on the process.
    """
    limit: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limit


@cache
def _controller() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401  loads its BLAS, which the controller would not know else
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
