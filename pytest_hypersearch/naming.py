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
    return exact or [nodeid for nodeid in known if _ends_in(nodeid, name)]


def some(names: Iterable[str], most: int = 8) -> str:
    """Return names for a message, not all of them if they are many."""
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more


def _ends_in(nodeid: str, name: str) -> bool:
    file, colons, rest = nodeid.partition("::")
    plain = file + colons + rest.partition("[")[0]
    return any(
        text == name or text.endswith((f"::{name}", f"/{name}")) for text in (file, plain, nodeid)
    )
