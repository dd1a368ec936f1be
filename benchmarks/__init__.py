"""Benchmarks: `evoray bench NAME` runs one and prints its numbers."""
