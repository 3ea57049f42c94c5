"""What users see in a terminal or a log: words, live progress and the summary."""
