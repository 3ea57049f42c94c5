"""What this machine has for the trials of a session, as far as the session may use it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from time import process_time

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.sweep import Demand, Share, size
from pytest_hypersearch.core.values import plural

try:
    import resource
except ImportError:  # on Windows
    resource = None  # type: ignore[assignment]


VISIBLE = "CUDA_VISIBLE_DEVICES"

_DEVICE = re.compile(r"\d+|(GPU|MIG)-[\w/-]+", re.ASCII)
_CGROUPS = Path("/sys/fs/cgroup")


@frozen
class Gpu:
    """A device.

    Attributes:
        name: What ``CUDA_VISIBLE_DEVICES`` calls it.
        uuid: What all sessions on the machine call it; the name where no driver can tell.
    """

    name: str
    uuid: str


@frozen
class Machine:
    """What there is to share.

    Attributes:
        cores: The cores that this process may run on, by number.
        gpus: The devices that it may use.
        memory: Bytes of memory that it may use.
    """

    cores: tuple[int, ...]
    gpus: tuple[Gpu, ...]
    memory: int

    def lacks(self, demand: Demand) -> str:
        """Tell what it can never give, with what it has; empty if it can meet the demand."""
        if demand.cpus > len(self.cores):
            return f"{plural(demand.cpus, 'cpu')}; this machine has {len(self.cores)}"
        if demand.devices > len(self.gpus):
            names = ", ".join(gpu.name for gpu in self.gpus)
            available = f"{len(self.gpus)} ({names})" if self.gpus else "none that is known"
            hint = "; --sweep-gpus=0,1 names them, the extra 'gpu' finds them"
            return f"{plural(demand.gpus, 'gpu')}; this machine has {available}{hint}"
        if demand.memory > self.memory:
            return f"{size(demand.memory)} of memory; this machine has {size(self.memory)}"
        return ""


def this_machine(named: Sequence[str] = ()) -> Machine:
    """Look at the machine.

    Args:
        named: Devices to use; by default those that ``CUDA_VISIBLE_DEVICES`` names, or all that
            NVIDIA's driver knows.

    Raises:
        ValueError: A device is named that ``CUDA_VISIBLE_DEVICES`` leaves out.
    """
    return Machine(cores(), _gpus(named), _memory())


def cores() -> tuple[int, ...]:
    """The cores that this process may use, which in a container are not all there are."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def device_names(text: str) -> tuple[str, ...]:
    """Read a list of devices as CUDA does: what comes after a name that is none is not seen."""
    names: list[str] = []
    for name in (part.strip() for part in text.split(",")):
        if not _DEVICE.fullmatch(name):
            break
        names.append(name)
    return tuple(dict.fromkeys(names))


def _gpus(named: Sequence[str]) -> tuple[Gpu, ...]:
    visible = os.environ.get(VISIBLE)
    uuids = _known_uuids()
    outer = None if visible is None else device_names(visible)
    if named:
        _refuse_hidden(named, outer, uuids)
        return _identified(named, uuids)
    return _identified(uuids if outer is None else outer, uuids)


def _identified(names: Iterable[str], uuids: Sequence[str]) -> tuple[Gpu, ...]:
    return tuple(Gpu(name, _uuid(name, uuids)) for name in names)


def _uuid(name: str, uuids: Sequence[str]) -> str:
    """A device's own name: sessions that go by numbers and those that go by UUIDs must agree."""
    if name.isdecimal() and int(name) < len(uuids):
        return uuids[int(name)]
    return next((uuid for uuid in uuids if uuid.startswith(name)), name)


def _refuse_hidden(named: Sequence[str], outer: Sequence[str] | None, uuids: Sequence[str]) -> None:
    seen = None if outer is None else {_uuid(name, uuids) for name in outer}
    for name in named:
        if seen is not None and _uuid(name, uuids) not in seen:
            raise ValueError(f"{name}: expected a device of {VISIBLE}={os.environ[VISIBLE]}")


def _known_uuids() -> tuple[str, ...]:
    """The UUIDs of the driver's devices in its order; none without driver or ``nvidia-ml-py``."""
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return tuple(str(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles)
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _memory() -> int:
    """Bytes of memory, or of the tightest control group that this process is in."""
    if not hasattr(os, "sysconf"):  # on Windows: not known, so no limit
        return sys.maxsize
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min((total, *_limits()))


def _limits() -> Iterator[int]:
    try:
        groups = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in groups:
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        base, name = (
            (_CGROUPS / "memory", "memory.limit_in_bytes") if kinds else (_CGROUPS, "memory.max")
        )
        group = base / path.lstrip("/")
        for level in (group, *group.parents):
            with contextlib.suppress(OSError, ValueError):
                yield int((level / name).read_text(encoding="ascii"))


THREAD_VARIABLES = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def environment(share: Share) -> dict[str, str]:
    """The variables that a share sets; those of what it does not hold are left alone."""
    threads = dict.fromkeys(THREAD_VARIABLES if share.cpus else (), str(share.cpus))
    return threads | ({VISIBLE: ",".join(share.gpus)} if share.gpus else {})


@contextmanager
def confined(share: Share) -> Iterator[None]:
    """Keep this process to a share, and leave it as it was."""
    changes = environment(share)
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        with ExitStack() as stack:
            # Libraries read their variables when they are loaded, and never again.
            if share.cpus and "numpy" in sys.modules:
                stack.enter_context(limit_threads(share.cpus))
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def limit_threads(limit: int) -> AbstractContextManager[object]:
    """Limit the threads of the numerical libraries that are loaded, as far as they are found."""
    from threadpoolctl import threadpool_limits

    try:
        limits: AbstractContextManager[object] = threadpool_limits(limits=limit)
    except OSError:  # on Linux without /proc, which tells of libraries
        return contextlib.nullcontext()
    return limits


_PEAK = re.compile(rb"VmHWM:\s*(\d+) kB")
_CLEAR = "/proc/self/clear_refs"
_RESET_PEAK = b"5"  # see proc_pid_clear_refs(5)


class Meter:
    """Measures one trial at a time; under 20 microseconds each.

    Args:
        alone: Whether this process runs nothing but the trial, so that its peak is the trial's.
    """

    def __init__(self, *, alone: bool = False) -> None:
        self._alone = alone
        self._cpu = 0.0
        self._inherited = 0

    def start(self) -> None:
        """Begin."""
        if self._peaks is not None:
            os.pwrite(self._peaks[0], _RESET_PEAK, 0)
        self._cpu, _ = _used()

    def stop(self) -> tuple[int | None, float]:
        """Return what was used since the beginning.

        Returns:
            The most bytes that were resident in this process at once, whether the trial asked for
            them or not, None where the system keeps no such peak; CPU seconds of this process and
            of its children that have ended.
        """
        cpu, most = _used()
        return self._peak(most), max(0.0, round(cpu - self._cpu, 6))

    def close(self) -> None:
        """Close the system's files."""
        for file in self._peaks or ():
            os.close(file)
        self._peaks = None

    @cached_property
    def _peaks(self) -> tuple[int, int] | None:
        """Where Linux resets and tells the peak; opened once, as opening costs more than both."""
        try:
            reset = os.open(_CLEAR, os.O_WRONLY)
        except OSError:
            return None
        try:
            os.pwrite(reset, _RESET_PEAK, 0)
            _, self._inherited = _used()
            return reset, os.open("/proc/self/status", os.O_RDONLY)
        except OSError:
            os.close(reset)
            return None

    def _peak(self, most: int) -> int | None:
        """Return the peak, where ``most`` is that of this process or of whoever started it."""
        if self._peaks is None:
            return most if self._alone and resource is not None else None
        if most > self._inherited:
            return most
        peak = _PEAK.search(os.pread(self._peaks[1], 4096, 0))  # takes ten times as long
        return int(peak[1]) * 1024 if peak else None


def _used() -> tuple[float, int]:
    """CPU seconds of this process and of its children that have ended, and its peak in bytes.

    On Linux, whoever called ``exec`` leaves its peak behind, and no reset removes that.
    """
    if resource is None:
        return process_time(), 0
    own, children = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return cpu, own.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def missing_features() -> list[str]:
    """What sweeps do without on this system; Windows and some containers lack it."""
    from filelock import has_fcntl

    windows, linux = sys.platform == "win32", sys.platform == "linux"
    features = {
        "the peak memory of trials": not (windows or linux) or os.access(_CLEAR, os.W_OK),
        "CPU times of child processes": resource is not None,
        "thread limits": not linux or os.access("/proc/self/maps", os.R_OK),
        "locks that end with their process": windows or has_fcntl,
        "time limits by signal": hasattr(signal, "setitimer"),
    }
    return [feature for feature, is_there in features.items() if not is_there]
