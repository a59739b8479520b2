"""Bybit: options over the v5 public websocket and REST."""
