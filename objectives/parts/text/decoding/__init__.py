"""Decoding of a detector's maps: rectangles of the first look, polygons of the second."""
