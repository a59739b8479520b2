"""Events in, QuoteTable out: arrays by slot."""
