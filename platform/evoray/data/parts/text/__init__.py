"""Parts of the text data sources: generated images, and published sets in their own layouts."""
