"""Pareto arithmetic on plain arrays: ranks, crowding, hypervolume."""
