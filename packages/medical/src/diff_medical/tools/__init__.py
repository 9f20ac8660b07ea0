"""The tools on the page of `studio` and `serve`: words, options and work of each command."""
