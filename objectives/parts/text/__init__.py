"""Text regions and their geometry, as data sets, training and objectives share them."""
