"""The Ray cluster: its address, the connection to it, and how code gets there."""
