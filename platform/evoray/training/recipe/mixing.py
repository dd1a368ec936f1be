"""Images of a batch mixed with each other, and the soft labels that belong to what comes out."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from evoray.training.config import Mixing
from evoray.training.recipe.image_batch import ImageBatch

# b batch, c channels, h height, w width, k classes, n patches of the last stage


def mix(
    batch: ImageBatch,
    mixing: Mixing,
    *,
    num_classes: int,
    grid: int,
    alpha: float,
    rng: np.random.Generator,
) -> ImageBatch:
    """The batch with its images mixed.

    Args:
        batch: Images and their classes.
        mixing: "images" for mixup (Zhang et al. 2018, arXiv:1710.09412), "tokens" for token-mixup.
        num_classes: Classes.
        grid: Patches a side of the last stage, for "tokens".
        alpha: Share of one image is drawn from Beta(alpha, alpha).
        rng: All draws come from it.
    """
    if mixing == "none":
        return batch
    labels_bk = F.one_hot(batch.labels, num_classes).float()
    if mixing == "images":
        x_bchw, labels_bk = mix_images(batch.x_bchw, labels_bk, alpha=alpha, rng=rng)
        return ImageBatch(x_bchw, labels_bk)
    return mix_tokens(batch.x_bchw, labels_bk, grid=grid, alpha=alpha, rng=rng)


def mix_images(
    x_bchw: torch.Tensor, labels_bk: torch.Tensor, *, alpha: float, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each image blended with another of the batch, by one share for all; the labels alike."""
    share = float(rng.beta(alpha, alpha))
    other_b = torch.from_numpy(rng.permutation(len(x_bchw))).to(x_bchw.device)
    return torch.lerp(x_bchw[other_b], x_bchw, share), torch.lerp(
        labels_bk[other_b], labels_bk, share
    )


def mix_tokens(
    x_bchw: torch.Tensor,
    labels_bk: torch.Tensor,
    *,
    grid: int,
    alpha: float,
    rng: np.random.Generator,
) -> ImageBatch:
    """Token-mixup (Liao et al. 2021, arXiv:2109.00642): in the first half of the batch a box of
    patches comes from another image, at the same place; the second half is blended whole.

    A patch has the label of the image that owns it, a blended image's patches that of the image.
    """
    half = len(x_bchw) // 2
    boxed, blended = x_bchw[:half], x_bchw[half:]
    top, left, height, width = draw_box(grid, rng)
    owned = torch.zeros(grid, grid, dtype=torch.bool, device=x_bchw.device)
    owned[top : top + height, left : left + width] = True
    owned_hw = F.interpolate(owned[None, None].float(), size=x_bchw.shape[2:], mode="nearest")[
        0, 0
    ].bool()
    other_b = torch.from_numpy(rng.permutation(half)).to(x_bchw.device)
    boxed = torch.where(owned_hw, boxed[other_b], boxed)
    own_bk, other_bk = labels_bk[:half], labels_bk[:half][other_b]
    patches_bnk = torch.where(owned.flatten()[:, None], other_bk[:, None], own_bk[:, None])
    blended, blended_bk = mix_images(blended, labels_bk[half:], alpha=alpha, rng=rng)
    return ImageBatch(
        torch.cat([boxed, blended]),
        torch.cat([patches_bnk.mean(dim=1), blended_bk]),
        torch.cat([patches_bnk, blended_bk[:, None].expand(-1, grid**2, -1)]),
    )


def draw_box(grid: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width of a box of cells, as in the released token_mixup.py.

    A uniform share of the cells, in a random shape; a box never touches the far edges unless it
    spans the grid, and may be empty.
    """
    cells = int(grid**2 * rng.beta(1.0, 1.0))
    if not cells:
        return 0, 0, 0, 0
    height = int(rng.integers(1, max(2, min(grid, cells) - 1)))
    width = cells // height
    if width > grid:
        width, height = grid, cells // grid
    top, left = (int(rng.integers(0, max(1, grid - size))) for size in (height, width))
    return top, left, height, width


def patch_grid(network: nn.Module) -> int:
    """Patches a side that the network's last stage has, which can all be classified.

    Raises:
        ValueError: It has no such patches.
    """
    grid = getattr(network, "patch_grid", None)
    if grid is None:
        raise ValueError(
            "train.mixing 'tokens' trains on the patches of the last stage, and "
            f"{type(network).__name__} has none; "
            "it works with vit_resnas: use 'images' or 'none'"
        )
    return int(grid)
