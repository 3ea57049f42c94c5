"""``python -m pytest_hypersearch``: the same as the command ``pytest-hypersearch``."""

from __future__ import annotations

import sys

from pytest_hypersearch.results.cli import main

if __name__ == "__main__":
    sys.exit(main())
