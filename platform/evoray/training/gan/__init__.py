"""Training generators against discriminators: losses, single steps, and the two ways in which EAGAN
pairs networks. Plain torch.
"""
