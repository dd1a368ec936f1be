"""What jobs share that search networks and the chip that runs them together: configuration, setup,
methods, phases of a run.
"""
