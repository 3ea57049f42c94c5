"""Processes in which pytest is loaded, forked from a server instead of started anew.

An interpreter that imports pytest and our plugin takes 0.4 s of a core, and the tests start about a
thousand. The fork server imports all that once, and forks itself whenever a test starts pytest, a
worker of xdist or an isolated trial. The new process is a child of the process that asked, with the
number, directory, environment, files and session that it should have; signals, kills and exit codes
are real. Where a new interpreter could do anything else, one is started: see `_suits`.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from contextlib import contextmanager, suppress
from pathlib import Path

import known_plugins
from _pytest.config import default_plugins
from execnet.gateway_io import popen_bootstrapline

from pytest_hypersearch.plugin.isolation.parent import START

TRIALS = (
    *("pdb", "pygments.formatters.terminal", "pygments.lexers.diff", "pygments.lexers.python"),
    *("email.parser", "faulthandler", "pytest_rerunfailures", "pytest_timeout", "xdist.plugin"),
    "pytest_hypersearch.plugin.hooks",
    "pytest_hypersearch.plugin.isolation.child",
    "pytest_hypersearch.plugin.mark.overrides",
    "pytest_hypersearch.plugin.remote.files",
    "pytest_hypersearch.plugin.session",
)
SESSIONS = (
    *("filelock", "tabulate", "wcwidth", "xdist.dsession", "xdist.workermanage"),
    "pytest_hypersearch.plugin.controller",
    "pytest_hypersearch.plugin.xdist.schedulers",
    "pytest_hypersearch.results.terminal.summary",
    "pytest_hypersearch.search.samplers.random",
)
"""What runs trials loads, and what sessions load besides; numpy and what imports it not."""

COMMANDS = (
    *(["-m", "pytest"], ["-mpytest"]),  # the second one by pytester
    ["-u", "-c", popen_bootstrapline],
    ["-c", START],
)
"""How pytest, workers of xdist and isolated trials are started."""

TESTS = Path(__file__).parent
NESTED = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": "autoload",
    "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}",
    # bytecode counts as current if the source has its size and was written in the same second
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""The environment of nested sessions, which load the plugins that they need."""

HARMLESS = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
"""Variables that a fork heeds as a new interpreter would."""

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LONGEST = 1 << 20
MOST_FILES = 16


class ForkServer:
    """The server's end in a process that starts others."""

    new = staticmethod(subprocess._fork_exec)

    def __init__(self, environment, modules=(), server=None):
        self._environment = environment
        self._modules = modules
        self._socket = server
        self._process = None
        self._lock = threading.Lock()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """End the server; processes that it forked outlive it."""
        if self._process is not None:
            self._socket.close()
            self._process.wait()

    def _start(self):
        self._socket, theirs = _channel()
        command = [sys.executable, __file__, str(theirs.fileno()), *self._modules]
        options = {"stdin": subprocess.DEVNULL, "pass_fds": [theirs.fileno()]}
        options |= {"env": self._environment, "cwd": "/"}  # not that of the test that starts first
        with theirs:
            self._process = subprocess.Popen(command, **options)

    def fork_exec(self, *given):
        """Start a process in place of the private function that `subprocess.Popen` calls."""
        args, _, close_fds, keep, cwd, env, *rest = given
        stdin, _, _, stdout, _, stderr, _, error, _, session, *others = rest
        variables = dict(os.environ) if env is None else dict(map(_variable, env))
        plain = close_fds and others[:6] == [-1, None, None, None, -1, None]
        if not (plain and self._suits(args, variables)):
            return self.new(*given)
        words = [os.fspath(arg) for arg in args]
        passed = [file for file in keep if file != error]
        job = {
            "args": ["-m", "pytest", *words[2:]] if words[1] == "-mpytest" else words[1:],
            "directory": str(Path(cwd or ".").absolute()),
            "environment": variables,
            "session": session,
            "files": [0, 1, 2, *passed],
        }
        ends = enumerate((stdin, stdout, stderr))
        files = [*(own if end == -1 else end for own, end in ends), *passed]
        return self._fork(job, files) or self.new(*given)

    def _suits(self, args, variables):
        """Whether a new interpreter would do the same."""
        path = variables.get("PYTHONPATH", "").split(os.pathsep)
        return (
            args[0] == sys.executable
            and any(args[1 : len(command) + 1] == command for command in COMMANDS)
            and _early(variables) == _early(self._environment)
            and not any(Path(folder, "sitecustomize.py").exists() for folder in path)
        )

    def _fork(self, job, files):
        if self._socket is None:
            self._start()
        with self._lock, _adopting(), suppress(BrokenPipeError):  # it was killed
            socket.send_fds(self._socket, [json.dumps(job).encode()], files)
            return int(self._socket.recv(LONGEST) or 0)


def _channel():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _variable(entry):
    name, _, value = os.fsdecode(entry).partition("=")
    return name, value


def _early(variables):
    """What an interpreter, and pytest before it loads its plugins, see of the environment."""
    names = ("PYTHON", "LC_", "LANG", "LD_", "PYTEST_PLUGINS", "PYTEST_DISABLE")
    return {
        name: value
        for name, value in variables.items()
        if name.startswith(names) and name not in HARMLESS
    }


@contextmanager
def _adopting():
    """Become the parent of the orphans among our descendants."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _serve(server):
    """Fork as long as anyone asks; return in each new process, with what it is to do."""
    while True:
        data, files, _, _ = socket.recv_fds(server, LONGEST, MOST_FILES)
        if not data:
            os._exit(0)
        started, start = os.pipe()
        answer, answered = os.pipe()
        middle = os.fork()
        if middle == 0:
            child = os.fork()
            if child == 0:
                server.detach()  # what closes it later would close another file of its number
                os.close(start)
                os.read(started, 1)
                return json.loads(data), files
            os.write(answered, str(child).encode())
            os._exit(0)
        os.waitpid(middle, 0)  # now the child belongs to whoever adopts orphans
        server.send(os.read(answer, LONGEST))
        for file in (started, start, answer, answered, *files):
            os.close(file)


def _become(job, files):
    """Make of this process what a new one would be."""
    if job["session"]:
        os.setsid()
    _take(files, job["files"])
    os.chdir(job["directory"])
    os.environ.clear()
    os.environ.update(job["environment"])
    time.tzset()
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [str(Path.cwd()) if job["args"][0] == "-m" else "", *filter(None, given), *SITE]
    sys.path_importer_cache.clear()
    sys.orig_argv = [sys.executable, *job["args"]]


def _take(files, numbers):
    """Give open files the numbers that they have to have, and close all others."""
    free = max(*numbers, *(int(file.name) for file in Path("/dev/fd").iterdir())) + 1
    for spare, file in enumerate(files, free):
        os.dup2(file, spare)
    os.closerange(3, free)
    for spare, number in enumerate(numbers, free):
        os.dup2(spare, number)
    os.closerange(free, free + len(files))


def _wait(server):
    """Serve in this process, and return what is to be done in each new one.

    Each of them has a server of its own, since those that it starts have to be its children.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job, files = _serve(server)
    _become(job, files)
    ours, theirs = _channel()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        ours.detach()
        _take([os.open(os.devnull, os.O_RDWR)] * 3 + [theirs.detach()], [0, 1, 2, 3])
        return _wait(socket.socket(fileno=3))
    theirs.close()
    subprocess._fork_exec = ForkServer(dict(os.environ), server=ours).fork_exec
    return job["args"]


def _run(args):
    """Run a module or code as the interpreter does."""
    sys.argv = args[args.index("-c") if "-c" in args else 1 :]
    if args[0] == "-m":
        runpy.run_module(args[1], run_name="__main__", alter_sys=True)
        return
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    code = sys.argv.pop(1)
    try:
        exec(code, vars(main))  # noqa: S102  what the interpreter would do
    except SystemExit as leaving:
        if leaving.code not in {None, 0}:
            raise
    _leave()


def _leave():
    """End as the interpreter does, but take nothing apart, which costs as much as a session."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    own = {str(TESTS), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    SITE = [entry for entry in sys.path if entry not in own]
    for name in (*(f"_pytest.{plugin}" for plugin in default_plugins), *sys.argv[2:]):
        importlib.import_module(name)
    known_plugins.install()
    gc.collect()
    gc.freeze()
    _run(_wait(socket.socket(fileno=int(sys.argv[1]))))
