"""IndexValue in; Redis, HTTP and metrics out."""
