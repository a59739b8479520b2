"""A market and a venue that speaks a real wire; shares no code with what it tests.

In: a seeded model, a real chain (CSV) or a recording. Out: websocket frames and REST bodies.
"""
