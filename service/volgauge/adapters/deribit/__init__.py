"""Deribit: JSON-RPC 2.0 over websocket, API v2."""
