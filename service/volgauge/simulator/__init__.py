"""A market and a venue that speaks a real wire; shares no code with what it tests."""
