"""Losses of SA-GCN's conditional GAN: cross-entropy with smoothed targets (equation 1; specification 5)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from mutoscope.models.sa_gcn.discriminators import Judgement

#: clips and their labels to a judgement
Critic = Callable[[Tensor, Tensor], Judgement]

REAL_TARGET = 0.9


def judged_as(score: Tensor, target: float) -> Tensor:
    """Mean binary cross-entropy of logits ``[b]`` against one target; at least float32."""
    score = score.to(torch.promote_types(score.dtype, torch.float32))
    return F.binary_cross_entropy_with_logits(score, torch.full_like(score, target))


def class_loss(judgement: Judgement, label: Tensor) -> Tensor:
    """Mean cross-entropy of the class logits against labels ``[b]`` or mixtures ``[b, classes]``.

    Raises:
        ValueError: if the critic names no classes.
    """
    if judgement.classes is None:
        raise ValueError("The critic names no classes; build it with classifier=True.")
    logits = judgement.classes
    return F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), label)


def critic_loss(
    real: Judgement, fake: Judgement, label: Tensor, *, real_target: float = REAL_TARGET, class_weight: float = 0.0
) -> Tensor:
    """``BCE(real, real_target) + BCE(fake, 0)``, and both class losses where they have a weight; a scalar."""
    loss = judged_as(real.score, real_target) + judged_as(fake.score, 0.0)
    if class_weight:
        loss = loss + class_weight * (class_loss(real, label) + class_loss(fake, label))
    return loss


def generator_loss(
    clips: Judgement, frames: Judgement, label: Tensor, *, real_target: float = REAL_TARGET, class_weight: float = 0.0
) -> Tensor:
    """Both critics shall take the fakes for real: ``BCE(clips, target) + BCE(frames, target)``, a scalar.

    One backward pass through it gives the gradient that the released program adds up from two.
    """
    loss = judged_as(clips.score, real_target) + judged_as(frames.score, real_target)
    if class_weight:
        loss = loss + class_weight * class_loss(clips, label)
    return loss


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, label: Tensor) -> Tensor:
    """``mean |grad_x D(x, y)|^2`` over real clips plus the same over fakes (R1 and R2 of Mescheder et al. 2018).

    It holds critics back that tell still untrained fakes from real clips so surely that their gradients lead nowhere.
    Squares are summed over a clip: what a weight does depends on how many numbers a clip has.

    At least float32, with autocast off.

    Args:
        critic: not wrapped by ``torch.compile``, which cannot differentiate twice.
        real, fake: ``[b, t, v, c]``; no gradient flows into them.
        label: of both, ``[b]`` or ``[b, classes]``.
    """
    clips = torch.cat([real.detach(), fake.detach()]).to(torch.promote_types(real.dtype, torch.float32))
    with torch.enable_grad(), torch.autocast(clips.device.type, enabled=False):
        score = critic(clips.requires_grad_(), torch.cat([label, label])).score
        (gradient,) = torch.autograd.grad(score.sum(), clips, create_graph=True)
    return 2 * gradient.flatten(1).square().sum(dim=1).mean()
