"""A search for generative adversarial networks in two stages: configuration, composition, the stages, pictures of what was found."""
