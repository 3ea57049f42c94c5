"""The shares that the trials of one session hold, by the process that runs them."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from pytest_hypersearch.core.demand import Demand, Share
from pytest_hypersearch.core.errors import NotYetError
from pytest_hypersearch.engine.resources.ledger import Ledger
from pytest_hypersearch.engine.resources.machine import this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.engine.messages import StudyPlan
    from pytest_hypersearch.engine.resources.machine import Machine


class Shares:
    """Gives shares of the machine to a session's workers; looks at it when one is wanted.

    Args:
        machine: Tells what there is to share.
        directory: Where the machine's ledger is, if not in its usual place.

    Attributes:
        waiting: The workers that wait for a share.
    """

    def __init__(
        self, machine: Callable[[], Machine] = this_machine, directory: Path | None = None
    ) -> None:
        self.waiting: set[str] = set()
        self._look = machine
        self._directory = directory
        self._ledger: Ledger | None = None
        self._machine: Machine | None = None
        self._holding: set[str] = set()
        self._devices: dict[tuple[str, int], tuple[str, ...]] = {}

    @property
    def machine(self) -> Machine:
        """What there is to share."""
        if self._machine is None:
            self._machine = self._look()
        return self._machine

    def refusal(self, studies: Iterable[StudyPlan]) -> str:
        """Tell which demand of a plan's studies can never be met, and why; empty if all can."""
        for study in studies:
            for sweep in (study.sweeps[place] for place in {slot[1] for slot in study.slots}):
                wanted = sweep.get("resources")
                lacking = self.machine.lacks(Demand.from_json(wanted)) if wanted else ""
                if lacking:
                    return f"{study.nodeid}: sweep {sweep['name']}: resources= requests {lacking}"
        return ""

    @contextmanager
    def offer(self, worker: str, sweep: Sweep) -> Iterator[Offer]:
        """Offer a worker what its next trial demands.

        What the worker held before goes back, and what it takes now as well, unless it keeps it.

        Raises:
            StoreError: The ledger cannot be used.
        """
        if worker in self._holding:
            self.free(worker)
        offer = Offer(partial(self._take, worker, sweep))
        try:
            yield offer
        finally:
            if not offer.stands:
                self.free(worker)

    def _take(self, worker: str, sweep: Sweep) -> Share | None:
        demand = sweep.resources
        if demand is None:
            return None
        self._ledger = self._ledger or Ledger(self.machine, self._directory)
        # A process that has started CUDA does not see other devices any more, whatever the mask.
        bound = None if sweep.isolate else self._devices.get((worker, demand.devices))
        everything = tuple(gpu.uuid for gpu in self.machine.gpus)
        devices = self._ledger.take(worker, demand, bound or everything)
        if devices is None:
            self.waiting.add(worker)
            raise NotYetError
        self.waiting.discard(worker)
        self._holding.add(worker)
        if not sweep.isolate:
            self._devices[worker, demand.devices] = devices
        names = {gpu.uuid: gpu.name for gpu in self.machine.gpus}
        return Share(demand.cpus, tuple(names[device] for device in devices))

    def free(self, worker: str) -> None:
        """Take back what a worker holds or waits for.

        Raises:
            StoreError: The ledger cannot be used.
        """
        if self._ledger is not None and worker in self._holding | self.waiting:
            self._ledger.free(worker)
            self._holding.discard(worker)
            self.waiting.discard(worker)

    def close(self) -> None:
        """Take back everything.

        Raises:
            StoreError: The ledger cannot be used.
        """
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None


class Offer:
    """What a trial may take before it is started.

    Attributes:
        stands: Whether the worker goes on holding what it took, or waiting for it.
    """

    def __init__(self, take: Callable[[], Share | None]) -> None:
        self.stands = False
        self._take = take
        self._taken = False
        self._share: Share | None = None

    def take(self) -> None:
        """Take all of it; a second time changes nothing.

        Raises:
            NotYetError: Others hold too much; the worker keeps its place in the line.
            StoreError: The ledger cannot be used.
        """
        if self._taken:
            return
        try:
            self._share = self._take()
        except NotYetError:
            self.stands = True
            raise
        self._taken = True

    def keep(self) -> Share | None:
        """Keep what was taken, and return it; None if nothing is demanded."""
        self.stands = True
        return self._share
