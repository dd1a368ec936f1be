"""The problem: what is searched, its objectives, costs and constraints, and what is feasible."""
