"""Results: what sweeps found, read from the store, filtered, grouped, compared and exported."""

from pytest_hypersearch.analysis.results import Results, load_results

__all__ = ["Results", "load_results"]
