"""Index values in; readings of the market out."""
