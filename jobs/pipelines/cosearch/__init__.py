"""Shared parts of the jobs that search networks and the chip that runs them together:
configuration, setup, methods, phases of a run.
"""
