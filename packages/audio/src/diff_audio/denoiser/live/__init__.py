"""The live denoiser: a causal network, and its stream with 32 ms of latency."""
