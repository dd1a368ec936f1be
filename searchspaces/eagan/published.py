"""Genotypes that papers print, by the name of the space: three rows of seven integers, in the code
of the release.
"""

from __future__ import annotations

from collections.abc import Mapping

_Codes = tuple[tuple[int, ...], ...]

_EAGAN_G: _Codes = ((1, 1, 1, 0, 2, 3, 1), (1, 1, 0, 1, 3, 0, 5), (0, 1, 0, 3, 0, 0, 3))
_ADVERSARIAL_NAS_G: _Codes = ((1, 1, 1, 0, 3, 3, 1), (1, 1, 0, 1, 3, 3, 3), (0, 1, 0, 3, 3, 0, 3))
_EAGAN_D_CIFAR: _Codes = ((3, 0, 3, 0, 2, 0, 0), (1, 0, 3, 0, 1, -1, -1), (3, 0, 3, 0, 1, -1, -1))
_EAGAN_D_STL: _Codes = ((3, 0, 3, 0, 2, 0, 0), (4, 0, 4, 0, 1, -1, -1), (3, 0, 3, 0, 1, -1, -1))
_EAGAN_D_HISTORY: _Codes = ((3, 0, 3, 0, 2, 0, 0), (3, 0, 1, 0, 1, -1, -1), (3, 0, 3, 0, 1, -1, -1))
# AutoGAN's residual discriminator (arXiv:1908.03835), which stage 1 holds fixed.
_AUTOGAN_D: _Codes = ((3, 0, 3, 0, 2, 0, 0), (3, 0, 3, 0, 1, -1, -1), (3, 0, 3, 0, 1, -1, -1))

_GENERATORS = {"EAGAN G": _EAGAN_G, "AdversarialNAS G": _ADVERSARIAL_NAS_G}
_DISCRIMINATORS = {
    "EAGAN D, CIFAR-10": _EAGAN_D_CIFAR,
    "EAGAN D, STL-10": _EAGAN_D_STL,
    "EAGAN D, repository history": _EAGAN_D_HISTORY,
    "AutoGAN D": _AUTOGAN_D,
}

PUBLISHED: Mapping[str, Mapping[str, _Codes]] = {
    "eagan:generator": _GENERATORS,
    "eagan:generator-stl10": _GENERATORS,
    "eagan:discriminator": _DISCRIMINATORS,
    "eagan:discriminator-stl10": _DISCRIMINATORS,
}
