"""Pipelines: what a job goes through, once a kind of system."""
