"""Parts that several subnet samplers share."""
