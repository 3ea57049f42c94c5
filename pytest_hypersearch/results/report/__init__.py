"""The report: one HTML page that works offline, and its figures for notebooks."""
