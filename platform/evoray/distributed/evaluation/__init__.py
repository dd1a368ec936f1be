"""Measuring on actors: the evaluator, and a pool of actors for each objective."""
