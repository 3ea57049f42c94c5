"""Tests run pytest on tests of their own."""

import sys

pytest_plugins = ["pytester"]

# hundreds of processes read bytecode that only this one, whatever its environment says, may write
sys.dont_write_bytecode = False
