"""Binance options: streams of two routes of the market data websocket, and REST."""
