"""What jobs share that train a supernet and search it: configuration, composition, the phases of a run."""
