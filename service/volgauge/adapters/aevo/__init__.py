"""Aevo: one public websocket, the tops of a whole chain by one channel."""
