"""The vocabulary: instruments, events and the index value. No maths, no I/O."""
