"""Members of folders and archives, lines of coordinates and MATLAB files, as formats share them."""
