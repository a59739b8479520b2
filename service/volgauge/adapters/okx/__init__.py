"""OKX: API v5, channels by argument over a public websocket."""
