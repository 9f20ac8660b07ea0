"""Words to phonemes: dictionary, rules, a network of letters, and other engines."""
