"""The nouns: trial, sweep, study, search space. No input or output."""
