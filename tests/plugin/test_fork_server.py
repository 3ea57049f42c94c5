"""Processes of a fork server are as new ones: what one of them sees, and how it ends."""

import json
import signal
import subprocess

import pytest
from fork_server import ForkServer

SEEN = """
import json, resource, threading

def inherited(file):
    try:
        return os.get_inheritable(int(file))
    except OSError:
        return False

def seen():
    os.umask(mask := os.umask(0))
    varying = {"COLUMNS", "LINES", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_TESTRUNUID", "seen"}
    handlers = [signal.getsignal(number) for number in range(1, 32)]
    return {
        "argv": sys.argv[1:2],
        "bytecode": sys.dont_write_bytecode,
        "directory": os.getcwd(),
        "environment": sorted(f"{name}={os.environ[name]}" for name in os.environ.keys() - varying),
        "files": [file for file in os.listdir("/dev/fd") if inherited(file)],
        "group": os.getpgid(0) == os.getpid(),
        "limits": [resource.getrlimit(number) for number in range(10)],
        "main": threading.main_thread() is threading.current_thread(),
        "numpy": "numpy" in sys.modules,
        "original": sys.orig_argv[:3],
        "parent": os.getppid(),
        "path": sys.path,
        "session": os.getsid(0) == os.getpid(),
        "signals": [getattr(each, "__qualname__", str(each)) for each in handlers],
        "umask": mask,
    }

@pytest.mark.sweep(grid={"x": [1]}, isolate=ISOLATE, retries=0)
def test_f(x):
    with open(os.environ["seen"], "w") as file:
        json.dump(seen(), file, default=str)
    if os.path.exists("deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
    return x
"""


@pytest.mark.parametrize(
    ("workers", "isolate"), [((), False), ((), True), (("-n1",), False), (("-n1",), True)]
)
def test_a_forked_process_sees_what_a_new_one_sees(
    project, monkeypatch, fork_exec, workers, isolate
):
    project.write(SEEN.replace("ISOLATE", str(isolate)))
    run = project.run if isolate or workers else project.spawn
    for name, start in {"new": ForkServer.new, "forked": fork_exec}.items():
        monkeypatch.setenv("seen", name)
        monkeypatch.setattr(subprocess, "_fork_exec", start)
        code, output = run(*workers, "-s")
        assert code == 0, output
    new, forked = (json.loads((project.path / name).read_text()) for name in ("new", "forked"))
    if workers and isolate:  # by another worker
        del new["parent"], forked["parent"]
    assert {key: (forked[key], new[key]) for key in new if forked[key] != new[key]} == {}


def test_it_ends_as_a_new_one(project, monkeypatch):
    monkeypatch.setenv("seen", "seen")
    project.write(SEEN.replace("ISOLATE", "False"))
    (project.path / "deadly").touch()
    assert project.spawn()[0] == -signal.SIGKILL
    code, output = project.run("-n1")
    assert code == 1
    assert "1 failed" in output
    assert project.spawn("--no-such-option")[0] == pytest.ExitCode.USAGE_ERROR
