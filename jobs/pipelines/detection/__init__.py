"""Searches of text detectors: a supernet search whose data has polygons."""
