"""Losses of a step with several subnets: hard labels, the soft labels of one of them or of outside
teachers, adaptive divergence.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


def hard_loss(
    logits_bk: torch.Tensor, labels: torch.Tensor, label_smoothing: float
) -> torch.Tensor:  # b batch, k classes
    """Cross-entropy with smoothed labels, (b,) classes or (b, k) probabilities; mean over the
    batch.
    """
    return F.cross_entropy(logits_bk.float(), labels, label_smoothing=label_smoothing)


def soft_loss(logits_bk: torch.Tensor, teacher_bk: torch.Tensor) -> torch.Tensor:
    """Cross-entropy against the teacher's probabilities at temperature 1, mean over the batch.

    Its gradient is that of the batch-mean KL divergence: the two differ by the teacher's entropy
    alone.
    """
    return F.cross_entropy(logits_bk.float(), teacher_bk)


def soft_labels(logits_bk: torch.Tensor) -> torch.Tensor:
    """The teacher's probabilities, (b, k), cut off from its gradients."""
    return logits_bk.detach().float().softmax(dim=1)


def adaptive_loss(
    logits_bk: torch.Tensor, target_bk: torch.Tensor, *, clip: float = 5.0
) -> torch.Tensor:
    """Adaptive alpha-divergence from a teacher's probabilities, mean over the batch (AlphaNet, Wang
    et al. 2021, arXiv:2102.07954).

    For each image the larger of two divergences counts: alpha = 1 punishes what the student lacks
    of the teacher, alpha = -1 what it has too much. Its value is that of a surrogate with the
    wanted gradient: student probabilities and ratios are held fixed, gradients flow through the
    student's log-probabilities alone.

    Args:
        logits_bk: Logits of the student.
        target_bk: Probabilities of the teacher; cut off from its gradients here.
        clip: Largest inverse ratio of probabilities that alpha = -1 sees.
    """
    log_student_bk = logits_bk.float().log_softmax(dim=1)
    student_bk, target_bk = log_student_bk.detach().exp(), target_bk.detach().float()
    inverse_bk = (student_bk / target_bk).clamp(
        max=clip
    )  # a class that the teacher rules out is clipped too
    lacking_b = (torch.xlogy(target_bk, target_bk) - target_bk * log_student_bk.detach()).sum(dim=1)
    excessive_b = (student_bk * (inverse_bk - 1.0) / 2.0).sum(dim=1)
    weight_bk = torch.where(
        (excessive_b > lacking_b)[:, None], student_bk * (0.5 - inverse_bk), target_bk
    )
    return -(weight_bk * log_student_bk).sum(dim=1).mean()


def ensemble_labels(
    teachers: Sequence[nn.Module], x_bchw: torch.Tensor, *, temperature: float = 0.2
) -> torch.Tensor:
    """(b, k): the mean of the teachers' probabilities, each of its logits over `temperature`; below
    1 they are sharpened.

    Teachers are put into evaluation mode and run without gradients.

    Raises:
        ValueError: There is no teacher, or the temperature is not above 0.
    """
    if not teachers or not temperature > 0:
        raise ValueError(
            f"soft labels need a teacher and a temperature above 0, got {len(teachers)} teachers "
            f"and {temperature}"
        )
    with torch.no_grad():
        found = [
            (teacher.eval()(x_bchw).float() / temperature).softmax(dim=1) for teacher in teachers
        ]
    return torch.stack(found).mean(dim=0)
