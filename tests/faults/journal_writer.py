"""Processes that write journals, for tests that kill them. Acknowledgements go to stdout."""

import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.store.journal import Journal, encode
from pytest_hypersearch.store.runs import RunInUse, Store

NODEID = "test_a.py::test_a"


def record(number):
    """A record whose size follows from its number, so that a reader can check it."""
    return {"k": "end", "number": number, "text": "x" * (number * 7919 % 40_000)}


def acknowledge(number, fd=1):
    os.write(fd, b"%d\n" % number)


def say(words):
    os.write(1, f"{words}\n".encode())


def append_until_killed(path, first, tear, fd):
    journal = Journal(path)
    for number in range(first, first + 1000):
        journal.append(record(number))
        acknowledge(number, fd)
        if number - first == tear:
            line = encode(record(number + 1))
            os.write(journal._fd, line[: random.randrange(1, len(line) - 1)])
            os.kill(os.getpid(), signal.SIGKILL)


def kills(path, rounds, seed):
    """Start writers one after another and kill each at a random moment; some tear a line first."""
    random.seed(seed)
    for number in range(rounds):
        tear = random.randrange(5) if number % 4 == 0 else None
        ours, theirs = os.pipe()
        writer = os.fork()
        if writer == 0:
            append_until_killed(path, number * 1000, tear, theirs)
            os._exit(0)
        os.close(theirs)
        time.sleep(random.random() * 0.004)
        if tear is None:
            os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        with os.fdopen(ours, "rb") as acknowledged:
            os.write(1, acknowledged.read())


def until_full(path, count):
    """Append until the disk is full, say so, and append again when told to."""
    journal = Journal(path)
    number = 0
    for _ in range(count):
        try:
            while True:
                journal.append(record(number))
                acknowledge(number)
                number += 1
        except StoreError as error:
            say(f"error {error}")
        sys.stdin.readline()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        journal.append(record(number))
        acknowledge(number)
        number += 1
    journal.close()


def limited(path, size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    until_full(path, 1)


def until_told(root):
    """Append to a new run's journal and curves until stdin is closed."""
    run = Store(root).new_run(NODEID)
    os.set_blocking(0, False)
    number = 0
    while sys.stdin.buffer.raw.read(1) != b"":
        run.journal.append({"k": "end", "number": number})
        run.curves.append({"k": "step", "number": number})
        acknowledge(number)
        number += 1
    run.close()
    say(run.path)


def many_runs(root, count):
    """Make runs and keep them until stdin is closed."""
    store = Store(root)
    say("ready")
    sys.stdin.readline()
    runs = [store.new_run(NODEID) for _ in range(count)]
    for run in runs:
        run.journal.append({"k": "run", "path": str(run.path)})
        say(run.path)
    sys.stdin.readline()


def hold(root):
    """Own a run, leave a child behind that outlives this process, and wait to be killed."""
    run = Store(root).new_run(NODEID)
    run.journal.append({"k": "end", "number": 0})
    if not os.fork():
        say(os.getpid())
    while True:
        time.sleep(60)


def resume(root):
    """Try to own the newest run once told to, and say how that went."""
    run = Store(root).runs(NODEID)[-1]
    say("ready")
    sys.stdin.readline()
    try:
        run.acquire()
        say("mine")
    except RunInUse as error:
        say(error)
    sys.stdin.readline()


if __name__ == "__main__":
    action, path, *numbers = sys.argv[1:]
    globals()[action](Path(path), *map(int, numbers))
