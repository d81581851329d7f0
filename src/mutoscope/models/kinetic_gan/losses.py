"""Wasserstein losses with gradient penalty, as Kinetic-GAN trains (section 3.3, equation 6)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Critic = Callable[[Tensor, Tensor], Tensor]


class CriticLoss(NamedTuple):
    """Scalars: what the critic minimises, and its parts (detached) for logs."""

    total: Tensor
    real: Tensor
    fake: Tensor
    penalty: Tensor


def gradient_penalty(
    critic: Critic,
    real: Tensor,
    fake: Tensor,
    label: Tensor,
    alpha: Tensor | None = None,
    *,
    compilable: bool = False,
) -> Tensor:
    """``mean_n (||grad_x D(x_n, y_n)||_2 - 1)^2`` at ``x = alpha real + (1 - alpha) fake``.

    Always at least float32 with autocast off, since the norm of a half-precision gradient is noise. It can be
    differentiated for the critic's parameters where gradients are enabled.

    Args:
        critic: ``(joints, label) -> [b, 1]``, not wrapped by ``torch.compile`` (which cannot differentiate twice).
        real: ``[b, t, v, c]``.
        fake: ``[b, t, v, c]``; no gradient flows into it.
        label: ``[b]``, the real batch's labels.
        alpha: ``[b, 1, 1, 1]`` in [0, 1); ``None`` draws it, one per sample.
        compilable: take the inner gradient with ``torch.func.grad``. Then a function around this one may be given to
            ``torch.compile``: only one backward pass crosses the compiled boundary.

    Returns:
        scalar, not yet weighted.

    Raises:
        ValueError: if real and fake differ in shape, or alpha has another shape.
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"Real and fake clips differ in shape: {tuple(real.shape)} and {tuple(fake.shape)}; the penalty mixes them."
        )
    shape = (len(real), 1, 1, 1)
    alpha = torch.rand(shape, device=real.device) if alpha is None else alpha
    if alpha.shape != shape:
        raise ValueError(f"alpha has shape {tuple(alpha.shape)}, expected {shape}: one number per sample.")
    real, fake = _widen(real.detach()), _widen(fake.detach())
    alpha = alpha.to(real.dtype)
    mixed = alpha * real + (1 - alpha) * fake

    def total_score(joints: Tensor) -> Tensor:
        return critic(joints, label).sum()

    with torch.autocast(real.device.type, enabled=False):
        if compilable:
            gradient = torch.func.grad(total_score)(mixed)
        else:
            differentiable = torch.is_grad_enabled()
            with torch.enable_grad():
                score = total_score(mixed.requires_grad_())
                (gradient,) = torch.autograd.grad(score, mixed, create_graph=differentiable)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def critic_loss(
    critic: Critic,
    real: Tensor,
    fake: Tensor,
    label: Tensor,
    *,
    penalty_weight: float = 10.0,
    alpha: Tensor | None = None,
    penalty_critic: Critic | None = None,
    together: bool = True,
) -> CriticLoss:
    """``-mean D(real) + mean D(fake) + weight * penalty``.

    Args:
        critic: ``(joints, label) -> [b, 1]``.
        real: ``[b, t, v, c]``.
        fake: ``[b, t, v, c]``; no gradient flows into it.
        label: ``[b]``, the real batch's labels, for the fakes as well.
        penalty_weight: lambda of the penalty; 0 leaves it out.
        alpha: see ``gradient_penalty``.
        penalty_critic: the eager critic, where ``critic`` is a compiled wrapper of it.
        together: real and fake pass the critic in one batch. In two passes, as released, the gradients of biases whose
            units look alike on both cancel to the last bit; in one they leave rounding noise, which Adam turns into
            steps of its learning rate. That shifts all scores alike and does no harm, but
            replaying a recorded run needs two.

    Raises:
        ValueError: if real and fake differ in shape.
    """
    if real.shape != fake.shape:
        raise ValueError(f"Real and fake clips differ in shape: {tuple(real.shape)} and {tuple(fake.shape)}.")
    fake = fake.detach().to(real.dtype)
    if together:
        real_scores, fake_scores = critic(torch.cat([real, fake]), torch.cat([label, label])).chunk(2)
    else:
        real_scores, fake_scores = critic(real, label), critic(fake, label)
    real_score, fake_score = _widen(real_scores).mean(), _widen(fake_scores).mean()
    total = fake_score - real_score
    penalty = torch.zeros_like(total)
    if penalty_weight:
        penalty = gradient_penalty(penalty_critic or critic, real, fake, label, alpha)
        total = total + penalty_weight * penalty
    return CriticLoss(total, real_score.detach(), fake_score.detach(), penalty.detach())


def generator_loss(critic: Critic, fake: Tensor, label: Tensor) -> Tensor:
    """``-mean D(fake)``, a scalar; freeze the critic's parameters around it, their gradients are of no use."""
    return -_widen(critic(fake, label)).mean()


def _widen(x: Tensor) -> Tensor:
    """To float32 where a tensor is narrower."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
