"""What people see in a terminal: errors in one line, live progress."""
