"""Who gets what, and who waits: first come, first served, and all of a demand at once.

A claim that cannot be met keeps what it wants from those that come after it, so that demands for
little do not starve demands for much. What it does not want goes to others meanwhile. Nobody holds
anything while waiting, so that no two can wait for each other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.resources.demand import Demand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_hypersearch.resources.machine import Machine

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
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

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {"demand": self.demand.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Claim:
        """The inverse of `to_json`."""
        devices = data["devices"]
        return cls(
            data["holder"],
            data["name"],
            Demand.from_json(data["demand"]),
            tuple(data["cores"]),
            tuple(data["among"]),
            None if devices is None else tuple(devices),
        )


def devices_for(claim: Claim, others: Sequence[Claim], machine: Machine) -> tuple[str, ...] | None:
    """Find what meets a claim.

    Args:
        claim: One that waits.
        others: All other claims: those that hold something, and those that wait since before it.
        machine: What there is to share.

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
