"""Measures the engine beside two peers that do the same work in the usual ways: `python -m benchmarks`."""
