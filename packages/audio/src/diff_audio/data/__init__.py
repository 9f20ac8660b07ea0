"""Folders of recordings as training items: layouts, manifests, corpora and mixtures."""
