"""Published records and the machine in; text for a person, or lines for a script, out."""
