"""Output in the terminal: errors in one line, live progress."""
