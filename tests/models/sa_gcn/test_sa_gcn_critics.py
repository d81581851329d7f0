"""Critics and losses."""

import pytest
import torch
from torch.nn import functional as F

from mutoscope.models.sa_gcn import ClipCritic, FrameCritic, Generator, Judgement, critic_loss, generator_loss
from mutoscope.models.sa_gcn.discriminators import pick_frames
from mutoscope.models.sa_gcn.losses import gradient_penalty
from mutoscope.structures import H36M15

JOINTS, CHANNELS, CLASSES, LENGTH, FRAMES = 15, 2, 4, 8, 5
WIDTHS = (12, 10, 14, 6)


def clip_critic(*, classifier: bool = False) -> ClipCritic:
    torch.manual_seed(0)
    return ClipCritic(JOINTS, CHANNELS, CLASSES, length=LENGTH, widths=WIDTHS, classifier=classifier)


def frame_critic() -> FrameCritic:
    torch.manual_seed(1)
    return FrameCritic(JOINTS, CHANNELS, CLASSES, frames=FRAMES, widths=WIDTHS)


@pytest.mark.parametrize("batch", [1, 3])
def test_one_score_per_clip_at_any_batch(batch: int) -> None:
    label = torch.arange(batch)
    for critic, frames in ((clip_critic(classifier=True), LENGTH), (frame_critic(), FRAMES)):
        x = torch.randn(batch, frames, JOINTS, CHANNELS)
        judgement = critic(x, label)
        assert judgement.score.shape == (batch,)
        torch.testing.assert_close(critic(x[:1], label[:1]).score, judgement.score[:1])
        torch.testing.assert_close(critic(x, torch.eye(CLASSES)[label]).score, judgement.score)
    assert clip_critic(classifier=True)(x.new_zeros(batch, LENGTH, JOINTS, CHANNELS), label).classes is not None
    assert clip_critic()(x.new_zeros(batch, LENGTH, JOINTS, CHANNELS), label).classes is None


def test_scores_depend_on_class_and_every_frame() -> None:
    for critic, frames in ((clip_critic(), LENGTH), (frame_critic(), FRAMES)):
        x = torch.randn(1, frames, JOINTS, CHANNELS, requires_grad=True)
        scores = torch.stack([critic(x, torch.tensor([label])).score for label in range(CLASSES)])
        assert len(scores.unique()) == CLASSES
        scores.sum().backward()
        assert x.grad is not None
        assert bool(x.grad.abs().amax(dim=(0, 2, 3)).all())


def test_losses_are_the_cross_entropies_of_probabilities() -> None:
    real, fake, label = Judgement(torch.randn(6), None), Judgement(torch.randn(6), None), torch.zeros(6).long()

    def against(judgement: Judgement, target: float) -> torch.Tensor:
        return F.binary_cross_entropy(judgement.score.sigmoid(), torch.full((6,), target))

    torch.testing.assert_close(critic_loss(real, fake, label), against(real, 0.9) + against(fake, 0.0))
    torch.testing.assert_close(generator_loss(real, fake, label), against(real, 0.9) + against(fake, 0.9))
    torch.testing.assert_close(critic_loss(real, fake, label, real_target=1.0), against(real, 1.0) + against(fake, 0.0))


def test_losses_of_hopeless_scores_are_finite() -> None:
    score = torch.tensor([200.0, -200.0]).bfloat16().requires_grad_()
    loss = critic_loss(Judgement(score, None), Judgement(-score, None), torch.zeros(2).long())
    assert loss.dtype == torch.float32
    loss.backward()
    assert score.grad is not None
    assert bool(torch.isfinite(score.grad).all())


def test_class_loss_is_on_logits_of_all_clips() -> None:
    label = torch.tensor([0, 2, 3])
    real, fake = (Judgement(torch.zeros(3), torch.randn(3, CLASSES)) for _ in range(2))
    assert real.classes is not None
    assert fake.classes is not None
    named = F.cross_entropy(real.classes, label) + F.cross_entropy(fake.classes, label)
    plain = critic_loss(real, fake, label)
    torch.testing.assert_close(critic_loss(real, fake, label, class_weight=0.5), plain + 0.5 * named)
    mixture = torch.eye(CLASSES)[label]
    torch.testing.assert_close(critic_loss(real, fake, mixture, class_weight=0.5), plain + 0.5 * named)
    frames = Judgement(torch.zeros(3), None)
    torch.testing.assert_close(
        generator_loss(fake, frames, label, class_weight=2.0),
        generator_loss(fake, frames, label) + 2 * F.cross_entropy(fake.classes, label),
    )
    with pytest.raises(ValueError, match="classifier=True"):
        critic_loss(frames, fake, label, class_weight=1.0)


def test_one_walk_back_gives_what_two_add_up_to() -> None:
    torch.manual_seed(0)
    generator = Generator(
        H36M15, CHANNELS, CLASSES, length=LENGTH, noise=6, hidden=12, widths=(8, 12, 10), graph_widths=(4, 6, 6)
    )
    label, picks = torch.tensor([0, 3]), pick_frames(LENGTH, FRAMES, torch.device("cpu"))
    fake = generator(torch.randn(2, LENGTH, 6), label)
    clip, frame = clip_critic()(fake, label), frame_critic()(fake[:, picks], label)
    parameters = list(generator.parameters())

    def gradients(loss: torch.Tensor) -> list[torch.Tensor]:
        found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]

    target = torch.full((2,), 0.9)
    halves = (gradients(F.binary_cross_entropy_with_logits(x.score, target)) for x in (clip, frame))
    for whole, *parts in zip(gradients(generator_loss(clip, frame, label)), *halves, strict=True):
        torch.testing.assert_close(whole, sum(parts), atol=1e-7, rtol=1e-5)


def test_frames_are_drawn_with_replacement_from_the_whole_clip() -> None:
    torch.manual_seed(0)
    picks = pick_frames(10, 200, torch.device("cpu"))
    assert set(picks.tolist()) == set(range(10))
    ordered = pick_frames(10, 20, torch.device("cpu"), in_order=True)
    assert ordered.tolist() == sorted(ordered.tolist())
    assert len(picks.unique_consecutive()) > 100


def test_what_critics_refuse() -> None:
    label = torch.zeros(2).long()
    with pytest.raises(ValueError, match=r"expected \[b, 8, 15, 2\]"):
        clip_critic()(torch.zeros(2, LENGTH + 1, JOINTS, CHANNELS), label)
    with pytest.raises(ValueError, match=r"expected \[b, 5, 15, 2\]"):
        frame_critic()(torch.zeros(2, FRAMES, JOINTS, 3), label)


def test_the_penalty_is_the_squared_slope_at_real_clips_and_at_fakes() -> None:
    """Of a critic whose slope is known: ``D(x, y) = (1 + y) |x|^2 / 2`` has the slope ``(1 + y) x``."""

    def critic(clips: torch.Tensor, label: torch.Tensor) -> Judgement:
        return Judgement((1 + label) * clips.flatten(1).square().sum(dim=1) / 2, None)

    real, fake, label = torch.randn(3, 4, 5, 2), torch.randn(3, 4, 5, 2), torch.tensor([0, 1, 2])
    expected = sum(((1 + label) ** 2 * x.flatten(1).square().sum(dim=1)).mean() for x in (real, fake))
    torch.testing.assert_close(gradient_penalty(critic, real, fake, label), expected)


def test_the_penalty_flattens_the_critic_and_leaves_the_fakes_alone() -> None:
    critic, label = clip_critic(), torch.tensor([0, 1])
    real = torch.randn(2, LENGTH, JOINTS, CHANNELS)
    fake = torch.randn(2, LENGTH, JOINTS, CHANNELS, requires_grad=True)
    before = gradient_penalty(critic, real, fake, label)
    before.backward()
    assert fake.grad is None
    with torch.no_grad():
        for parameter in critic.parameters():
            # the last biases move no slope
            if parameter.grad is not None:
                parameter -= 1e-2 * parameter.grad
    assert gradient_penalty(critic, real, fake, label) < before
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert gradient_penalty(critic, real.bfloat16(), fake, label).dtype == torch.float32
