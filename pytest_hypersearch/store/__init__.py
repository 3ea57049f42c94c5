"""What is kept of a sweep: journals of records, in runs, in a directory per study."""
