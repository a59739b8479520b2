"""Sockets, files and REST: bytes in, bytes out; the only layer that speaks to venues."""
