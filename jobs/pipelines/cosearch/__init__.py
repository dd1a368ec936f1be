"""What jobs share that search networks and the chip that runs them together: configuration, composition, methods, phases of a run."""
