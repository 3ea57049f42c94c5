"""What to try next and what to stop early: samplers and pruners."""
