"""The report: one HTML page on studies that works offline, and its figures for notebooks."""

from pytest_hypersearch.report.page import page, require_plotly

__all__ = ["page", "require_plotly"]
