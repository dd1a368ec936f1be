"""NASK-style text detectors (Cao and Zou 2020, arXiv:2004.12436; Cao et al. 2021,
arXiv:2106.12720): a first look finds rectangles, a second one their geometry.

The spaces "nask_v1" and "nask_v2" are made of it. Of the papers only abstracts and introduction are
known to us: their words are the two looks, attention in groups, pooling of rectangles to a fixed
size and the four attributes; all widths, depths, kernels and mechanisms are our reconstruction.
"""

from __future__ import annotations

from searchspaces.nask.options import Decoding, Stage
from searchspaces.nask.outputs import FirstLook, TwoLooks
from searchspaces.nask.space import NASK

__all__ = ["NASK", "Decoding", "FirstLook", "Stage", "TwoLooks"]
