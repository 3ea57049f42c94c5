"""What the terminal shows of results: the summary and its tables."""
