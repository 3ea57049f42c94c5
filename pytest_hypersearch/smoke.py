"""The smoke test of a sweep: one trial at the centre of the space, nothing owned, nothing kept."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hypersearch.study import trial_seed
from pytest_hypersearch.sweep import Sweep

if TYPE_CHECKING:
    from pytest_hypersearch.owner import Message


class SmokeLink:
    """Answers a runner as an owner would who has one trial for each study."""

    def __init__(self) -> None:
        self._sweeps: dict[str, Sweep] = {}

    def call(self, message: Message) -> Message:
        """Answer from the plan; outcomes are left to pytest's own report."""
        match message["op"]:
            case "hello":
                return {"known": False}
            case "plan":
                for study in message["studies"]:
                    sweep = Sweep.from_json(study["sweeps"][0])
                    self._sweeps.update((slot, sweep) for slot, *_ in study["slots"])
            case "ask":
                return self._centre(self._sweeps[message["slot"]])
            case "tell":
                return {"best": False}
            case "view":
                return {"found": []}
        return {}

    def send(self, message: Message) -> None:
        """Reports are not kept."""

    def _centre(self, sweep: Sweep) -> Message:
        return {
            "do": "run",
            "params": sweep.space.centre(),
            "seed": trial_seed(sweep.seed, 0),
            "attempt": 1,
            "path": str(Path(tempfile.gettempdir()) / "pytest-hypersearch-smoke"),
        }
