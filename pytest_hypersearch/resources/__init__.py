"""Resources of one machine: what trials demand of it, what it has, and who holds which share."""
