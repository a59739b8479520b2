"""Derive (once Lyra): JSON-RPC over a public websocket, slim tickers of every option."""
