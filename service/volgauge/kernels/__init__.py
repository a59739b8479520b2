"""Arrays in, numbers out: one file per mathematical idea, compiled by numba."""
