"""Schedulers of xdist that hand out whole scopes, mended: with theirs a crash may hang the session.

What a dead worker leaves goes back to the queue together with what it had finished, and a worker
that is given finished work alone, or a single test while more wait in the queue, sits there for
good: it starts no test before it knows of the next (pytest-xdist#784, #1327).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdist.scheduler import LoadFileScheduling, LoadGroupScheduling, LoadScopeScheduling

if TYPE_CHECKING:
    import pytest


class _Mended(LoadScopeScheduling):  # type: ignore[misc]
    def remove_node(self, node: Any) -> str | None:  # noqa: ANN401  xdist's controller of a worker
        """Take a worker out; only what it has not finished is to be done again."""
        units = self.assigned_work[node]
        self.assigned_work[node] = {
            scope: unit for scope, unit in units.items() if not all(unit.values())
        }
        crashed: str | None = super().remove_node(node)
        return crashed

    def _reschedule(self, node: Any) -> None:  # noqa: ANN401  xdist's controller of a worker
        super()._reschedule(node)
        while self.workqueue and not node.shutting_down and self._idle(node):
            self._assign_work_unit(node)
        if not self.workqueue and self._idle(node):
            node.shutdown()

    def _idle(self, node: Any) -> bool:  # noqa: ANN401  xdist's controller of a worker
        """Whether the worker cannot run what it has for want of more."""
        enough: int = 2
        return bool(self._pending_of(self.assigned_work[node]) < enough)


class _Scope(_Mended):
    """``--dist=loadscope``."""


class _File(_Mended, LoadFileScheduling):  # type: ignore[misc]
    """``--dist=loadfile``."""


class _Group(_Mended, LoadGroupScheduling):  # type: ignore[misc]
    """``--dist=loadgroup``."""


_MENDED = {"loadscope": _Scope, "loadfile": _File, "loadgroup": _Group}


def mended(config: pytest.Config, log: Any) -> Any:  # noqa: ANN401  a scheduler of xdist, which has no types
    """The scheduler for the ``--dist`` of a session, None where xdist's own is in order."""
    kind = _MENDED.get(config.option.dist)
    return kind(config, log) if kind else None
