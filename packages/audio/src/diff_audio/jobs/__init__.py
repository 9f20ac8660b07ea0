"""The work of the commands, from file to file."""
