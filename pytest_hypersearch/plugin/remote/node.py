"""A worker on its node: the handshake, then a session of xdist in the project's directory there.

``python -m`` this module is what launchers start. Its source is what xdist runs on the node instead
of its own module, which it runs in turn with the controller's paths as they are here.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import platform
import shutil
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from execnet.gateway_base import get_execmodel, init_popen_io, serve
from filelock import Timeout

from pytest_hypersearch.core.packages import distribution_version
from pytest_hypersearch.engine.resources.machine import this_machine
from pytest_hypersearch.plugin import EARLY_IMPORT
from pytest_hypersearch.plugin.remote.files import SCRATCH, has_files, unpack
from pytest_hypersearch.plugin.remote.protocol import (
    Facts,
    Message,
    Ready,
    Size,
    Welcome,
    encoded,
    read_message,
)
from pytest_hypersearch.store.runs import file_lock

SAME: Final = ("pytest-hypersearch", "pytest", "pytest-xdist", "execnet", "numpy")
"""Packages of which all workers must have the controller's version."""

PREFIX: Final = "pytest-hypersearch-node-"
ROOTS: Final = "hypersearch_roots"
OWN: Final = "PYTEST_HYPERSEARCH_NODE_DIRECTORY"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that must be the same everywhere."""
    return {"Python": ".".join(platform.python_version_tuple()[:2])} | {
        name: distribution_version(name) for name in SAME
    }


def facts() -> Facts:
    """What this process is and has."""
    return Facts(platform.node(), os.getpid(), versions(), this_machine(), os.cpu_count() or 1)


def main() -> None:
    """Serve the controller at the other end of the standard streams, to the end."""
    _send(facts())
    welcome = read_message(_read, Welcome)
    os.environ.update(welcome.environment)
    is_here = welcome.landmark and Path(welcome.root, welcome.landmark).exists()
    root = welcome.root if is_here or has_files(welcome.root, welcome.files) else ""
    _send(Ready(root))
    with own_directory() as own:
        if not root:
            root = str(Path(own, Path(welcome.root).name))
            unpack(io.BytesIO(_read(read_message(_read, Size).bytes)), Path(root))
            _send(Ready(root))
        _watch_environment(set(welcome.unsent) - os.environ.keys(), root)
        os.chdir(Path(root, welcome.below))
        os.environ[OWN] = own
        streams: Any = init_popen_io(get_execmodel("main_thread_only"))
        serve(streams, id=f"{welcome.worker}-worker")
        os.chdir(Path(own).parent)


def _watch_environment(missing: set[str], root: str) -> None:
    """Warn when the project's code reads a variable that the controller has and this node lacks.

    It may decide which trials there are, and all workers would agree on the wrong ones.
    """
    environ: Any = os.environ
    encode = environ.encodekey

    # Private to CPython: all that reads a variable comes through here.
    def encodekey(name: str) -> bytes:
        if name in missing and (place := _reader(root)):
            missing.remove(name)
            text = f"{name} is set where pytest was called, not here: --sweep-env={name} sends it"
            warnings.warn_explicit(text, RuntimeWarning, *place)
        return encode(name)  # type: ignore[no-any-return]

    environ.encodekey = encodekey


def _reader(root: str) -> tuple[str, int] | None:
    """The file and line of the project's that reads a variable, the same on all nodes."""
    frame = sys._getframe(2)  # noqa: SLF001  the only way
    if frame.f_code.co_name != "__getitem__":
        return None  # it is set
    while frame.f_back and frame.f_code.co_filename.startswith((os.__file__, "<frozen")):
        frame = frame.f_back
    file = Path(frame.f_code.co_filename)
    return (str(file.relative_to(root)), frame.f_lineno) if file.is_relative_to(root) else None


@contextmanager
def own_directory() -> Iterator[str]:
    """Make a directory for this worker, and remove those of workers that were killed."""
    for file in Path(tempfile.gettempdir()).glob(f"{PREFIX}*.lock"):
        with contextlib.suppress(OSError, Timeout), file_lock(file).acquire(blocking=False):
            shutil.rmtree(file.with_suffix(""), ignore_errors=True)
            file.unlink(missing_ok=True)
    own = Path(tempfile.gettempdir(), f"{PREFIX}{uuid.uuid4().hex[:12]}")
    lock = own.with_suffix(".lock")
    with file_lock(lock).acquire():
        own.mkdir(mode=0o700)
        try:
            yield str(own)
        finally:
            shutil.rmtree(own, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _send(message: Message) -> None:
    data = memoryview(encoded(message))
    while data:
        data = data[os.write(1, data) :]


def _read(count: int) -> bytes:
    """Read from standard input past its buffer, which would take what is execnet's."""
    data = bytearray()
    while len(data) < count:
        if not (part := os.read(0, count - len(data))):
            raise SystemExit(0)  # the controller does not want this worker
        data += part
    return bytes(data)


def moved(text: str, root: str, here: str) -> str:
    """A path of the controller's project, or an option with one, as it is on this node."""
    name, sign, value = text.partition("=")
    if sign and name.startswith("-"):
        return name + sign + moved(value, root, here)
    inside = text == root or text.startswith((root + os.sep, root + "::"))
    return here + text[len(root) :] if inside else text


def python_path(given: list[str], root: str, here: str) -> list[str]:
    """The controller's ``sys.path`` on this node: what belongs to the project, then our own."""
    own = [moved(entry, root, here) for entry in given if moved(entry, root, here) != entry]
    others = [entry for entry in given if Path(entry).is_dir()]
    return [*dict.fromkeys([*own, *sys.path, *others])]


class _Channel:
    """The channel of the worker's session, with the message that opens the session."""

    def __init__(self, channel: Any, opening: tuple[Any, ...]) -> None:  # noqa: ANN401  execnet has no types
        self._channel = channel
        self._opening = opening

    def receive(self) -> tuple[Any, ...]:
        return self._opening

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  see above
        return getattr(self._channel, name)


def run_session(channel: Any) -> None:  # noqa: ANN401  execnet has no types
    """Run a session of xdist with the controller's paths as they are on this node."""
    import xdist.remote

    given, args, _, path = channel.receive()  # the options are a directory of the controller's
    root, here, same = given[ROOTS]
    given[SCRATCH] = os.environ[OWN]
    if not same:
        path = python_path(path, root, here)
    args = [moved(arg, root, here) for arg in args]
    options = args.index("--") if "--" in args else len(args)
    args[options:options] = ["-W", EARLY_IMPORT]
    opening = given, args, {"basetemp": None}, path
    code = compile(inspect.getsource(xdist.remote), str(xdist.remote.__file__), "exec")
    names = {"__name__": "__channelexec__", "channel": _Channel(channel, opening)}
    exec(code, names)  # noqa: S102  as execnet does


if __name__ == "__main__":
    main()
if __name__ == "__channelexec__":
    run_session(channel)  # type: ignore[name-defined]  # noqa: F821  execnet sets it
