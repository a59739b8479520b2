"""Facts in; logs and metrics out."""
