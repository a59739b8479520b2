"""Books of options and price histories in; risk, hedges, stress tables and back-tests out."""
