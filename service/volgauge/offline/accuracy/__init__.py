"""The benchmark of accuracy: known truths and recorded chains in, tables and gates out."""
