"""A worker that speaks the protocol of workers on other machines and runs no tests.

``python -S pipes_worker.py SCRIPT``: SCRIPT is a JSON file that `benchmarks/workers.py` writes. It
imports neither pytest nor the plugin, so that hundreds of them fit one machine; what goes through
its pipe is what a real one sends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from pathlib import Path
from threading import Event
from typing import Any

SCRIPT = json.loads(Path(sys.argv[1]).read_text())
sys.path.append(SCRIPT["execnet"])

from execnet.gateway_base import WorkerGateway, get_execmodel, init_popen_io  # noqa: E402  see above


def read(count: int) -> bytes:
    """Read from standard input past its buffer."""
    data = b""
    while len(data) < count:
        part = os.read(0, count - len(data))
        if not part:
            raise SystemExit
        data += part
    return data


def shake_hands() -> None:
    """Say hello, and that the project is here."""
    os.write(1, SCRIPT["facts"].encode())
    welcome = json.loads(read(int(read(8), 16)))
    ready = json.dumps({"root": welcome["root"]})
    os.write(1, f"{len(ready):08x}{ready}".encode())


class Queue:
    """Tests that xdist has handed out."""

    def __init__(self) -> None:
        self._items: deque[int | None] = deque()
        self._news = Event()

    def take(self, command: Any) -> None:
        """Take a command of xdist; called by execnet's thread."""
        name, given = command or ("shutdown", {})
        self._items.extend(given["indices"] if name == "runtests" else [None])
        self._news.set()

    def get(self) -> int | None:
        """Wait for the next test; None when there are no more."""
        while not self._items:
            self._news.wait()
            self._news.clear()
        return self._items.popleft()


def run_session(channel: Any) -> None:
    """Answer as a session of xdist does."""
    given = channel.receive()[0]
    owner, items = given["hypersearch_channel"], SCRIPT["items"]
    longest, count = 0.0, 0

    def tell(event: str, **values: object) -> None:
        channel.send((event, values))

    def ask(name: str, item: str = "", following: str = "") -> Any:
        owner.send(SCRIPT["messages"][name].replace("ITEM", item).replace("NEXT", following))
        return json.loads(owner.receive())[1:]

    def report(item: str, when: str) -> None:
        tell("testreport", data={**SCRIPT["report"], "nodeid": item, "when": when})

    tell("workerready", workerinfo={"version_info": tuple(sys.version_info[:5])})
    while not ask("Hello")[1]["known"]:  # the real worker has the plan
        time.sleep(0.5)
    ask("Durations")
    queue = Queue()
    channel.setcallback(queue.take)
    tell("collectionfinish", topdir=".", ids=items)
    current, ahead = queue.get(), None
    while current is not None:
        following, item = queue.get(), items[current]
        if ahead or ask("Claim", item)[0] == "RunTrial":
            tell("logstart", nodeid=item, location=("test_trivial.py", 1, item))
            report(item, "setup")
            start = time.perf_counter()
            ahead = ask("Tell", item, "" if following is None else items[following])[1]["ahead"]
            longest = max(longest, time.perf_counter() - start)
            report(item, "call")
            report(item, "teardown")
            tell("logfinish", nodeid=item, location=("test_trivial.py", 1, item))
            count += 1
        tell("runtest_protocol_complete", item_index=current, duration=0.0)
        current = following
    ask("Finish")
    with Path(SCRIPT["served"]).open("a") as file:
        file.write(f"{count} {longest}\n")
    tell("workerfinished", workeroutput={"exitstatus": 0, "shouldfail": "", "shouldstop": ""})


class Gateway(WorkerGateway):
    """Runs the session above in the place of that which it is sent."""

    def executetask(self, item: Any) -> None:
        """Run what execnet asks of the process; the other task is the session."""
        channel, (source, *_) = item
        if "run_session" not in source:
            super().executetask(item)
            return
        run_session(channel)
        channel.close()
        self._executetask_complete.set()


shake_hands()
Gateway(init_popen_io(get_execmodel("main_thread_only")), id="pipes", _startcount=2).serve()
