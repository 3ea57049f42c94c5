"""What lasts: journals of records, in runs, in a directory per study."""
