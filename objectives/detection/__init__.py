"""Detection of text: protocols that score polygons, and what of a detector is read as polygons."""
