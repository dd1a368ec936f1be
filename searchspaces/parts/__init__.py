"""Parts that several search spaces share."""
