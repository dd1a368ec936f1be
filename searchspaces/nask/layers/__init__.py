"""Parts of NASK's networks, plain and elastic, one concept a file."""
