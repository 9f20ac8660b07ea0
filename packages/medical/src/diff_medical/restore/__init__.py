"""Thinner slices and filled holes, with the enhancer as a prior of anatomy."""
