"""IndexValue in, candles on disk out."""
