"""The ``sweep`` mark: its typed form, and its arguments validated."""
