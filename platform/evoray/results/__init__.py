"""Results: networks picked, exported, and checked against stand-alone training."""
