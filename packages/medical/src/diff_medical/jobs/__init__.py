"""The commands as functions, from file to file."""
