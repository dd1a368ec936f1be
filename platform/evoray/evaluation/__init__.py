"""Evaluation: measuring candidates, in this process or behind an interface."""
