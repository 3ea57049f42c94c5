"""A command that starts a worker and relays its streams, to fail in a given way.

``worker_double.py PLAN COMMAND...``: PLAN is a JSON file with a list; the first to start takes the
first entry, and so on; those past its end are workers as any other. An entry is one of

    die                end at once
    never              start nothing, and stay
    late;FILE;COUNT    start when the file has so many lines
    cut;TEXT;NTH;CODE  end with this code instead of relaying the NTH message with this text
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

plan, command = Path(sys.argv[1]), sys.argv[2:]
entries = json.loads(plan.read_text())


def ordinal():
    for number in range(1000):
        try:
            plan.with_suffix(f".{number}").mkdir()
        except FileExistsError:
            continue
        return number
    raise RuntimeError


def lines(file):
    return Path(file).read_text().count("\n") if Path(file).exists() else 0


def relay(source, target):
    while data := os.read(source, 1 << 16):
        os.write(target, data)
    os.close(target)


number = ordinal()
kind, *given = entries[number].split(";") if number < len(entries) else ["none"]
if kind == "die":
    sys.exit(3)
while kind == "never" or (kind == "late" and lines(given[0]) < int(given[1])):
    time.sleep(0.02)
worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
signal.signal(signal.SIGTERM, lambda *_: (worker.kill(), os._exit(15)))
downwards = (0, worker.stdin.fileno())
threading.Thread(target=relay, args=downwards, daemon=True).start()
seen = b""
while data := os.read(worker.stdout.fileno(), 1 << 16):
    if kind == "cut":
        text, nth, code = given[0].encode(), int(given[1]), int(given[2])
        if (seen + data).count(text) >= nth:
            before = text.join((seen + data).split(text)[:nth])
            os.write(1, before[len(seen) :])
            worker.kill()
            os._exit(code)
        seen = (seen + data)[-1 << 20 :]
    os.write(1, data)
sys.exit(worker.wait())
