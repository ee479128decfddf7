"""The laws of operators, to be tried on one's own."""
