"""What `python -m diff_medical.train` trains, a module a model: its recipe and how it is built."""
