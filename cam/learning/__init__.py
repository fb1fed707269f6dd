"""Learning other classes from a network's features (sections 4 and 5 of the paper)."""
