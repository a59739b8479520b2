"""QuoteTable in, forward and variance of each expiry out."""
