"""One rule for randomness: a seed is a function of the run's seed and some words, the same in every
process.
"""

from __future__ import annotations

import hashlib

import numpy as np


def seed_for(run_seed: int, *words: str | int) -> int:
    """A 63-bit seed; equal arguments give equal seeds on every machine and in every version of
    Python.
    """
    text = "\x1f".join([str(run_seed), *map(str, words)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator_for(run_seed: int, *words: str | int) -> np.random.Generator:
    """A NumPy generator seeded by `seed_for`."""
    return np.random.default_rng(seed_for(run_seed, *words))
