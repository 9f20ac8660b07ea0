"""The pronunciation of words: dictionary, rules, a network of letters, and other engines."""
