"""What a trial demands of its machine, and the share that it is given."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_KIBI = 1024


@dataclass(frozen=True, slots=True)
class Demand:
    """What a trial needs while it runs; what is zero is not counted for it.

    Attributes:
        cpus: Cores.
        gpus: GPUs: a whole number of them, or the fraction of one.
        memory: Bytes.
    """

    cpus: int = 0
    gpus: float = 0
    memory: int = 0

    @property
    def devices(self) -> int:
        """On how many GPUs it runs: a fraction is of one."""
        return max(1, int(self.gpus)) if self.gpus else 0

    @property
    def portion(self) -> float:
        """What it takes of each of its GPUs."""
        return min(self.gpus, 1)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Demand:
        """The inverse of `to_json`."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Share:
    """What a trial was given.

    Attributes:
        cpus: How many cores it may use, 0 if it did not ask for any.
        gpus: Its devices, as ``CUDA_VISIBLE_DEVICES`` names them.
    """

    cpus: int = 0
    gpus: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"cpus": self.cpus, "gpus": list(self.gpus)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Share:
        """The inverse of `to_json`."""
        return cls(data["cpus"], tuple(data["gpus"]))


def size(number: int) -> str:
    """Write a number of bytes: ``4 GiB``."""
    value, place = float(number), 0
    while value >= _KIBI and place < len(_UNITS) - 1:
        value, place = value / _KIBI, place + 1
    return f"{value:.4g} {_UNITS[place]}"
