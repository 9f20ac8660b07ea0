"""Text as people write it, in words as people say it."""
