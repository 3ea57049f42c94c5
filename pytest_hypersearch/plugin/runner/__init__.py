"""In every process that runs tests: from an item to its trial and its outcome."""
