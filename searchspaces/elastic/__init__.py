"""Elastic layers: one set of largest weights, of which every forward pass uses the slice that its
arguments name.

No layer holds an "active" width: output widths and kernels are arguments of `forward`, input widths
are those of the input. Slices are views, so a subnet's gradient reaches its own part of the weight
and nothing is copied or masked.
"""
