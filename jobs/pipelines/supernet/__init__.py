"""Shared parts of the jobs that train a supernet and search it: configuration, setup, the phases of
a run.
"""
