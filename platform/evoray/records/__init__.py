"""Records: what is known of evaluated candidates, and the folder where it lasts."""
