"""Publishes edition after edition until it is killed: every file of one says its number."""

import shutil
import sys
from itertools import count
from pathlib import Path
from time import sleep

from pytest_hypersearch.store.best import Edition, publish

run, pause = Path(sys.argv[1]) / "0001", float(sys.argv[2])
for number in count():
    trial = run / "artifacts" / f"grid-{number}"
    for file in range(8):
        path = trial / f"part{file % 3}" / f"{file}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    publish(Edition(run, {"number": number}, ((0, trial), (1, trial))))
    shutil.rmtree(trial)
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()
    sleep(pause)  # the edition before the last is removed, and one who opens a file takes a moment
