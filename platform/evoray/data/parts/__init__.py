"""Parts that several data sources share."""
