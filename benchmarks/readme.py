"""Run the README's first test and put what it prints below it.

python benchmarks/readme.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
COMMAND = "pytest --sweep -n 4"
HEADER = ("====", "platform", "rootdir", "configfile", "plugins", "cachedir", "asyncio")


def printed(test: str) -> str:
    """What pytest prints for a test, without the header that describes the machine."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_booth.py").write_text(test)
        result = subprocess.run(
            [sys.executable, "-m", *COMMAND.split()],
            cwd=folder,
            env={**os.environ, "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=True,
        )
    lines = result.stdout.splitlines()
    first = next(place for place, line in enumerate(lines) if not line.startswith(HEADER))
    return "\n".join(line.rstrip() for line in lines[first:])


def main() -> None:
    """Rewrite the README's first console block."""
    text = README.read_text()
    test = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    if test is None:
        raise SystemExit(f"{README}: no python block")
    block = f"```console\n$ {COMMAND}\n{printed(test[1])}\n```"
    README.write_text(
        re.sub(r"```console\n.*?```", lambda _: block, text, count=1, flags=re.DOTALL)
    )


if __name__ == "__main__":
    main()
