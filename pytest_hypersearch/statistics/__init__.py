"""What scores say: which are better, by how much, and how sure that is."""
