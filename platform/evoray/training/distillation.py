"""Losses of a sandwich step: hard labels for the biggest subnet, its soft labels for the others."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def hard_loss(logits_bk: torch.Tensor, labels_b: torch.Tensor, label_smoothing: float) -> torch.Tensor:  # b batch, k classes
    """Cross-entropy with smoothed labels, mean over the batch."""
    return F.cross_entropy(logits_bk.float(), labels_b, label_smoothing=label_smoothing)


def soft_loss(logits_bk: torch.Tensor, teacher_bk: torch.Tensor) -> torch.Tensor:
    """Cross-entropy against the teacher's probabilities at temperature 1, mean over the batch.

    Its gradient is that of the batch-mean KL divergence: the two differ by the teacher's entropy alone.
    """
    return F.cross_entropy(logits_bk.float(), teacher_bk)


def soft_labels(logits_bk: torch.Tensor) -> torch.Tensor:
    """The teacher's probabilities, (b, k), cut off from its gradients."""
    return logits_bk.detach().float().softmax(dim=1)
