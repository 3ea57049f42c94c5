"""What runners and the owner say to each other: plain JSON messages and plain JSON replies.

======  ==========================================  ================================================
op      fields                                      reply
======  ==========================================  ================================================
hello   ``digest`` of the runner's plan             ``{"known": bool}``: whether the plan is here
plan    ``digest``, ``studies``                     ``{}`` or ``{"stop": reason}``
past                                                ``{"durations"}``: seconds that trials took
                                                    earlier in the run, by item
ask     ``slot`` (an item's node id)                ``{"do": "run", "params", "seed", "attempt",
                                                    "path"}`` and ``share`` of the resources,
                                                    ``{"do": "replay", "record"}``,
                                                    ``{"do": "skip", "reason"}`` or ``{"stop"}``
report  ``slot``, ``attempt``, ``series``           none
review  ``slot``, ``attempt``, ``series``           ``{"prune": reason}``, empty to go on
tell    ``slot``, ``attempt``, ``outcome``          ``{"best": bool}`` or ``{"stop": reason}``
crash   ``slot``, ``reason``, ``seconds`` for       ``{"again": bool}``: a trial's own process died
        which the trial ran
over    ``saved``: whether the worker's trial left  ``{}``
        whole files
skip    ``slot``, ``reason``                        ``{}``
view    ``slot``, ``study``, ``wait``               ``{"results", "suggestions", "paths"}``
saw     ``packages``: versions of what is imported  none
======  ==========================================  ================================================

Any reply may be ``{"error": text}`` instead: something failed that concerns this message alone.
A reply may come later than the next message of another runner: a trial whose configuration depends
on results waits until they are in, one that demands resources until they are free.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Message: TypeAlias = dict[str, Any]

UNANSWERED: Final = frozenset({"report", "saw"})
