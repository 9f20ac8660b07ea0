"""What `python -m diff_audio.train` trains, a module a model: its recipe and how it is built."""
