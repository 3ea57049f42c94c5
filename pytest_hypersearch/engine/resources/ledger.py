"""The shares of the machine that trials hold, and the ledger that all sessions keep of them.

Demands are met first come, first served, each as a whole.

A claim that cannot be met keeps what it wants from those that come after it, so that demands for
little do not starve demands for much. What it does not want goes to others meanwhile. Nobody holds
anything while waiting, so that no two can wait for each other.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from getpass import getuser
from pathlib import Path
from typing import Self

from pytest_hypersearch.core.codec import json_object, read_fields
from pytest_hypersearch.core.errors import NotYetError, StoreError
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.sweep import Demand, Share, Sweep
from pytest_hypersearch.engine.messages import StudyPlan
from pytest_hypersearch.engine.resources.machine import Machine, this_machine
from pytest_hypersearch.store.runs import file_lock

_ROUNDING = 1e-6


@frozen
class Claim:
    """A demand that is met or waits.

    Attributes:
        holder: The session.
        name: Which of the session's processes runs the trial.
        demand: What it needs.
        cores: The cores that the session may use.
        among: UUIDs of the devices that it may have, in order of preference.
        devices: UUIDs of the devices that it has; None while it waits.
    """

    holder: str
    name: str
    demand: Demand
    cores: tuple[int, ...]
    among: tuple[str, ...] = ()
    devices: tuple[str, ...] | None = None


def devices_for(claim: Claim, others: Sequence[Claim], machine: Machine) -> tuple[str, ...] | None:
    """Find what meets a claim that waits, by all others that hold something or waited before it.

    Returns:
        UUIDs of its devices, empty if it wants none; None if it has to wait.
    """
    # Sessions that are bound to other cores have another part of the machine: a job scheduler's.
    near = [other for other in others if not set(other.cores).isdisjoint(claim.cores)]
    cpus = sum(other.demand.cpus for other in near)
    memory = sum(other.demand.memory for other in near)
    if not _fits(claim.demand.cpus, cpus, len(machine.cores)):
        return None
    if not _fits(claim.demand.memory, memory, machine.memory):
        return None
    used = _used(others)
    devices = _least_used(claim, used)
    free = all(used[device] + claim.demand.portion <= 1 + _ROUNDING for device in devices)
    return devices if free and len(devices) == claim.demand.devices else None


def _fits(wanted: int, taken: int, total: int) -> bool:
    """Whether a demand can be met; others that wait may want more than there is."""
    return not wanted or wanted + taken <= total


def _used(claims: Iterable[Claim]) -> Counter[str]:
    """How much of each device is taken, or kept for one that waits."""
    used: Counter[str] = Counter()
    for claim in sorted(claims, key=lambda claim: claim.devices is None):
        devices = _least_used(claim, used) if claim.devices is None else claim.devices
        for device in devices:
            used[device] += claim.demand.portion  # type: ignore[assignment]  # shares are no counts
    return used


def _least_used(claim: Claim, used: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(sorted(claim.among, key=used.__getitem__)[: claim.demand.devices])


_CLAIMS = "claims-1.json"
_POLL_SECONDS = 0.005
_PATIENCE_SECONDS = 60.0


class Claims:
    """What trials hold of a machine that no other session uses; one thread at a time."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._holder = ""
        self._claims: list[Claim] = []

    def take(
        self,
        name: str,
        demand: Demand,
        among: Sequence[str] = (),
        machine: Machine | None = None,
    ) -> tuple[str, ...] | None:
        """Take all of a demand, or wait in line for it.

        Args:
            name: Which of this session's processes wants it; it waits for one demand at a time.
            demand: What it wants.
            among: UUIDs of the devices that it may have.
            machine: What it may use of the machine, by default all.

        Returns:
            UUIDs of the devices that it got; None if it has to come again.

        Raises:
            StoreError: A ledger cannot be read or written.
        """
        machine = machine or self._machine
        with self._opened() as claims:
            index = self._place(claims, name)
            if index is None:
                index = len(claims)
                claims.append(Claim(self._holder, name, demand, machine.cores, tuple(among)))
            others = [
                claim
                for i, claim in enumerate(claims)
                if i < index or (i > index and claim.devices is not None)
            ]
            devices = devices_for(claims[index], others, machine)
            claims[index] = replace(claims[index], devices=devices)
        return devices

    def free(self, name: str) -> None:
        """Give back what a process holds, or let it leave the line.

        Raises:
            StoreError: A ledger cannot be read or written.
        """
        with self._opened() as claims:
            index = self._place(claims, name)
            if index is not None:
                del claims[index]

    def _place(self, claims: Sequence[Claim], name: str) -> int | None:
        own = (self._holder, name)
        return next((i for i, c in enumerate(claims) if (c.holder, c.name) == own), None)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[list[Claim]]:
        """The claims, to be changed in place."""
        yield self._claims


class Ledger(Claims):
    """A session's access to the ledger of this machine; one thread at a time.

    Raises:
        StoreError: The directory cannot be used, or is not the user's own.
    """

    def __init__(self, machine: Machine, directory: Path | None = None) -> None:
        super().__init__(machine)
        self._directory = directory or default_directory()
        self._holder = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        try:
            _make_own(self._directory)
            self._lock = file_lock(self._directory / "ledger.lock")
            with self._locked():
                self._life = file_lock(self._life_of(self._holder))
                self._life.acquire(blocking=False)
        except OSError as error:
            raise _fault(self._directory, error) from error

    def close(self) -> None:
        """Give back everything.

        Raises:
            StoreError: The ledger cannot be read or written.
        """
        with self._opened() as claims:
            claims[:] = [claim for claim in claims if claim.holder != self._holder]
            self._life_of(self._holder).unlink(missing_ok=True)
            self._life.release()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[list[Claim]]:
        """The claims of the living, to be changed in place."""
        file = self._directory / _CLAIMS
        try:
            with self._locked():
                before = _read(file)
                dead = {holder for holder in {c.holder for c in before} if self._is_dead(holder)}
                claims = [claim for claim in before if claim.holder not in dead]
                yield claims
                if claims != before:
                    _write(file, claims)
        except OSError as error:
            raise _fault(self._directory, error) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock.acquire(timeout=_PATIENCE_SECONDS, poll_interval=_POLL_SECONDS):
            yield

    def _is_dead(self, holder: str) -> bool:
        if holder == self._holder:
            return False
        from filelock import Timeout

        life = file_lock(self._life_of(holder))
        try:
            life.acquire(blocking=False)
        except Timeout:
            return False
        self._life_of(holder).unlink(missing_ok=True)
        life.release()
        return True

    def _life_of(self, holder: str) -> Path:
        return self._directory / f"{holder}.alive"


def default_directory() -> Path:
    """The user's directory on this machine."""
    user = os.getuid() if hasattr(os, "getuid") else getuser()
    return Path(tempfile.gettempdir()) / f"pytest-hypersearch-{user}"


def _make_own(directory: Path) -> None:
    """Make the directory, or make sure of it: in a shared place anybody may have made it."""
    directory.mkdir(mode=0o700, exist_ok=True)
    if not hasattr(os, "getuid"):  # on Windows, temporary directories are their users' own
        return
    status = directory.lstat()
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    if not own or status.st_mode & 0o077:
        raise StoreError(
            f"{directory} is accessible to other users: expected your own, "
            "with mode 0700; remove it, or set TMPDIR"
        )


def _read(file: Path) -> list[Claim]:
    try:
        return [read_fields(Claim, each) for each in json.loads(file.read_bytes())]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"cannot read {file}: {error}; remove it") from error


def _write(file: Path, claims: Sequence[Claim]) -> None:
    """Replace the file: a writer may be killed at any moment."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(claims, default=json_object), encoding="ascii")
    new.replace(file)


def _fault(directory: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot use {directory}: {error.strerror or error}")


class Shares:
    """Gives shares of machines to a session's workers; looks at this one when a share is wanted.

    Args:
        machine: Tells what there is to share here.
        directory: Where the machine's ledger is, if not in its usual place.
        elsewhere: Whether workers are placed on other machines, see `place`.
        named: How much the session has of resources by the user's names.

    Attributes:
        waiting: The workers that wait for a share.
        most: The most that any trial of the plan demands, resource by resource.
    """

    def __init__(
        self,
        machine: Callable[[], Machine] = this_machine,
        directory: Path | None = None,
        *,
        elsewhere: bool = False,
        named: Mapping[str, int] = {},
    ) -> None:
        self.waiting: set[str] = set()
        self.most = Demand()
        self._look = machine
        self._directory = directory
        self._ledger: Ledger | None = None
        self._machine: Machine | None = None
        self._elsewhere = elsewhere
        self._named = dict(named)
        self._names_of: dict[str, Mapping[str, int]] = {}
        self._places: dict[str, tuple[Machine, Claims]] = {}
        self._accounts: dict[str, Claims] = {}
        self._holding: set[str] = set()
        self._devices: dict[tuple[str, int], tuple[str, ...]] = {}

    @property
    def machine(self) -> Machine:
        """What there is to share here."""
        if self._machine is None:
            self._machine = self._look()
        return self._machine

    def place(self, worker: str, machine: Machine, account: str) -> None:
        """Say what a worker elsewhere may use; those of an account share it."""
        self._places[worker] = machine, self._accounts.setdefault(account, Claims(machine))

    def lacks(self, worker: str) -> str:
        """Tell what of the plan's demands a worker's machine can never give; empty if nothing."""
        return self._places[worker][0].lacks(self.most)

    def refusal(self, studies: Iterable[StudyPlan]) -> str:
        """Tell which demand of a plan's studies can never be met, and why; empty if all can."""
        for study in studies:
            for sweep in (study.sweeps[place] for place in {slot[1] for slot in study.slots}):
                wanted = sweep.get("resources")
                if not wanted:
                    continue
                demand = Demand.from_json(wanted)
                self.most = self.most.joined(demand)
                lacking = self._lacks_named(demand)
                if not (lacking or self._elsewhere):
                    lacking = self.machine.lacks(demand)
                if lacking:
                    return f"{study.nodeid}: sweep {sweep['name']}: resources= requests {lacking}"
        return ""

    def _lacks_named(self, demand: Demand) -> str:
        for name, amount in demand.named.items():
            if amount > self._named.get(name, 0):
                has = f"{name}={self._named[name]}" if name in self._named else "none of that name"
                return f"{amount} {name}; --sweep-resources has {has}"
        return ""

    def _has_named(self, worker: str, demand: Demand) -> bool:
        """Whether a worker has its named resources, or gets them now; first come, first served.

        It keeps them while it waits for its machine: nobody there waits for names.
        """
        line = self._names_of
        line.setdefault(worker, demand.named)
        before = [*line][: [*line].index(worker) + 1]
        return all(
            sum(line[other].get(name, 0) for other in before) <= self._named[name]
            for name in demand.named
        )

    def _at(self, worker: str) -> tuple[Machine, Claims]:
        if self._elsewhere:
            return self._places[worker]
        self._ledger = self._ledger or Ledger(self.machine, self._directory)
        return self.machine, self._ledger

    def offer(self, worker: str, sweep: Sweep) -> Offer:
        """Offer a worker what its next trial demands.

        What the worker held before goes back.

        Raises:
            StoreError: The ledger cannot be used.
        """
        if worker in self._holding:
            self.free(worker)
        return Offer(self, worker, sweep)

    def take(self, worker: str, sweep: Sweep) -> Share | None:
        """Take what a trial demands, None if that is nothing; see `Offer.take`."""
        demand = sweep.resources
        if demand is None:
            return None
        if not self._has_named(worker, demand):
            self.waiting.add(worker)
            raise NotYetError
        machine, ledger = self._at(worker)
        # A process that has started CUDA does not see other devices any more, whatever the mask.
        bound = None if sweep.isolate else self._devices.get((worker, demand.devices))
        everything = tuple(gpu.uuid for gpu in machine.gpus)
        devices = ledger.take(worker, demand, bound or everything, machine)
        if devices is None:
            self.waiting.add(worker)
            raise NotYetError
        self.waiting.discard(worker)
        self._holding.add(worker)
        if not sweep.isolate:
            self._devices[worker, demand.devices] = devices
        names = {gpu.uuid: gpu.name for gpu in machine.gpus}
        return Share(demand.cpus, tuple(names[device] for device in devices))

    def free(self, worker: str) -> None:
        """Take back what a worker holds or waits for.

        Raises:
            StoreError: The ledger cannot be used.
        """
        if worker in self._holding | self.waiting:
            self._names_of.pop(worker, None)
            self._at(worker)[1].free(worker)
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
    """What a trial may take before it is started; it goes back in the end, unless it is kept.

    Args:
        shares: Gives it.
        worker: Who takes it.
        sweep: Tells what the trial demands.
    """

    __slots__ = ("_share", "_shares", "_stands", "_sweep", "_taken", "_worker")

    def __init__(self, shares: Shares, worker: str, sweep: Sweep) -> None:
        self._shares = shares
        self._worker = worker
        self._sweep = sweep
        self._stands = False
        self._taken = False
        self._share: Share | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._stands:
            self._shares.free(self._worker)

    def take(self) -> None:
        """Take all of it; a second time changes nothing.

        Raises:
            NotYetError: Others hold too much; the worker keeps its place in the line.
            StoreError: The ledger cannot be used.
        """
        if self._taken:
            return
        try:
            self._share = self._shares.take(self._worker, self._sweep)
        except NotYetError:
            self._stands = True
            raise
        self._taken = True

    def keep(self) -> Share | None:
        """Keep what was taken, and return it; None if nothing is demanded."""
        self._stands = True
        return self._share
