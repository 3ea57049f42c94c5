"""What is better, and how sure that is: ranking, comparison, racing, importance."""
