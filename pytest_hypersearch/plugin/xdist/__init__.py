"""Parallel runs: the owner in the controlling process, trials on workers."""
