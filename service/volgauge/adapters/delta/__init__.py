"""Delta Exchange: tops of book and tickers of every option, which expire at 12:00 UTC."""
