"""Venue frames (bytes) in, events out; one folder a venue, no sockets and no clock inside."""
