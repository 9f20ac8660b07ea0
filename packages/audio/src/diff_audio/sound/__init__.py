"""The sound on disk and in arrays: files, names, levels, rates and pieces."""
