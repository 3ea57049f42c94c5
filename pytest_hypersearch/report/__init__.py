"""The report: one HTML page on studies that works offline, and its figures for notebooks."""

from pytest_hypersearch.report.artifacts import beside
from pytest_hypersearch.report.page import page
from pytest_hypersearch.report.payload import Reported

__all__ = ["Reported", "beside", "page"]
