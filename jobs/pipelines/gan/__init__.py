"""A search for generative adversarial networks in two stages: configuration, setup, the stages,
pictures of what was found.
"""
