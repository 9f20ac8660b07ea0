"""The rules that turn text as people write it into words as people say it."""
