"""The smoke test of a sweep: one trial at the centre of the space, nothing owned, nothing kept."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hypersearch.marks import Sweep
from pytest_hypersearch.owner.records import trial_seed

if TYPE_CHECKING:
    from pytest_hypersearch.messages import Message


class SmokeLink:
    """Answers a runner as an owner would who has one trial for each study."""

    def __init__(self) -> None:
        self._sweeps: dict[str, Sweep] = {}
        self._root: Path | None = None

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
            case "review":
                return {"prune": ""}
            case "tell":
                return {"best": False}
        return {}

    def send(self, message: Message) -> None:
        """Reports are not kept."""

    def close(self) -> None:
        """Remove what the trials wrote."""
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)

    def _centre(self, sweep: Sweep) -> Message:
        self._root = self._root or Path(tempfile.mkdtemp(prefix="pytest-hypersearch-"))
        return {
            "do": "run",
            "params": sweep.space.centre(),
            "seed": trial_seed(sweep.seed, 0),
            "attempt": 1,
            "path": tempfile.mkdtemp(dir=self._root),
        }
