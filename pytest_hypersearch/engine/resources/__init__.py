"""What trials demand of a machine, what it has, and who holds which share."""
