"""What a person looks at: results, comparisons, exports, the report, the command line."""
