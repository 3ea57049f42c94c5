"""How users call a test: by its node id, or by as much of its end as they like."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def called(nodeids: Iterable[str], name: str) -> list[str]:
    """Return the node ids that a name stands for: the one that it is, or those that end in it.

    Args:
        nodeids: Of tests, without the trials' parts.
        name: A node id, its file, or its end with or without arguments: ``test_mlp``,
            ``TestNets::test_mlp``, ``test_mlp[cifar]``.
    """
    known = list(nodeids)
    exact = [nodeid for nodeid in known if nodeid == name]
    return exact or [nodeid for nodeid in known if name in _names(nodeid)]


def _names(nodeid: str) -> Iterable[str]:
    plain, bracket, arguments = nodeid.partition("[")
    parts = plain.split("::")
    yield parts[0]
    for start in range(len(parts)):
        name = "::".join(parts[start:])
        yield name
        yield name + bracket + arguments
