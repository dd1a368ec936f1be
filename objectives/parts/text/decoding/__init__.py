"""From a detector's maps to text regions: rectangles of the first look, polygons of the second."""
