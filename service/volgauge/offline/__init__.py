"""The commands that need no service: files in, values out."""
