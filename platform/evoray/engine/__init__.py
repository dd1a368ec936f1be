"""The engine: the loops that ask, evaluate, write down and tell."""
