"""Variances of expiries in, IndexValue out."""
