"""The training data: layouts of folders, manifests, corpora and mixtures."""
