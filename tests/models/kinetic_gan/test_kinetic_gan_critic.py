"""The critic and the losses: sizes, equality with the naive implementation to second order, refusals."""

from types import ModuleType

import pytest
import torch
from torch import Tensor

from mutoscope.models.kinetic_gan import Discriminator, critic_loss, generator_loss, gradient_penalty
from mutoscope.models.kinetic_gan.pyramid import pyramid_for
from mutoscope.models.kinetic_gan.reference import export_reference
from mutoscope.structures import CMU31, H36M16, NTU25, Skeleton

WIDTHS = (32, 24, 16, 12, 8)


def small(skeleton: Skeleton = NTU25, channels: int = 3, latent: int = 12) -> Discriminator:
    torch.manual_seed(0)
    critic = Discriminator(skeleton, channels, 5, latent=latent, widths=WIDTHS)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.add_(0.2 * torch.rand_like(parameter) - 0.1)
    return critic


def clips(critic: Discriminator, length: int = 32, batch: int = 3, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    shape = (batch, length, critic.pyramid.num_joints, critic.channels)
    real, fake = torch.rand(2, *shape, dtype=dtype) * 2 - 1
    return [real, fake, torch.arange(batch), torch.rand(batch, 1, 1, 1, dtype=dtype)]


@pytest.mark.parametrize(
    ("skeleton", "channels", "classes", "count"),
    [(NTU25, 3, 60, 3_332_115), (NTU25, 3, 120, 3_348_675), (H36M16, 2, 10, 3_322_054)],
)
def test_parameter_counts_of_the_paper_s_sizes(skeleton: Skeleton, channels: int, classes: int, count: int) -> None:
    assert sum(p.numel() for p in Discriminator(skeleton, channels, classes).parameters()) == count


@pytest.mark.parametrize(
    ("skeleton", "channels", "length", "latent"),
    [(NTU25, 3, 64, 12), (NTU25, 2, 16, 32), (H36M16, 2, 50, 12), (CMU31, 3, 33, 12)],
    ids=["ntu", "ntu-2d-t16-identity", "h36m-t50", "cmu-t33"],
)
def test_scores_losses_and_gradients_equal_the_naive_critic(
    naive: ModuleType, skeleton: Skeleton, channels: int, length: int, latent: int
) -> None:
    fast = small(skeleton, channels, latent).double()
    slow = naive.NaiveDiscriminator(pyramid_for(skeleton), channels, 5, latent=latent, widths=WIDTHS).double()
    slow.load_state_dict(export_reference(fast), strict=True)
    real, fake, label, alpha = clips(fast, length)
    torch.testing.assert_close(fast(real, label), slow(naive.to_channels_first(real), label), atol=1e-11, rtol=1e-9)

    loss = critic_loss(fast, real, fake, label, alpha=alpha)
    other = naive.naive_critic_loss(slow, naive.to_channels_first(real), naive.to_channels_first(fake), label, alpha)
    torch.testing.assert_close(loss.total, other, atol=1e-11, rtol=1e-9)
    penalty = gradient_penalty(fast, real, fake, label, alpha)
    first = naive.to_channels_first
    other = naive.naive_penalty(slow, first(real), first(fake), label, alpha)
    torch.testing.assert_close(penalty, other, atol=1e-11, rtol=1e-9)
    (penalty + fast(real, label).mean()).backward()
    (other + slow(first(real), label).mean()).backward()
    with torch.no_grad():
        for parameter in fast.parameters():
            parameter.copy_(parameter.grad)
    found = export_reference(fast)
    for key, parameter in slow.named_parameters():
        torch.testing.assert_close(
            found[key], parameter.grad, atol=1e-11, rtol=1e-7, msg=lambda text, key=key: f"{key}: {text}"
        )


def test_penalty_leaves_biases_and_labels_alone() -> None:
    critic = small().double()
    gradient_penalty(critic, *clips(critic)).backward()
    for name, parameter in critic.named_parameters():
        still = name.endswith("bias") or name == "embedding.weight"
        assert (parameter.grad is None or not parameter.grad.any()) == still, name


def test_penalty_of_a_linear_critic_is_known() -> None:
    weight = torch.tensor(3.0, requires_grad=True)

    def critic(joints: Tensor, label: Tensor) -> Tensor:
        return weight * joints.sum((1, 2, 3))[:, None]

    real, fake = torch.randn(2, 4, 5, 2, 2)
    penalty = gradient_penalty(critic, real, fake, torch.zeros(4, dtype=torch.int64))
    torch.testing.assert_close(penalty, torch.tensor((3 * 20**0.5 - 1) ** 2))
    penalty.backward()
    torch.testing.assert_close(weight.grad, torch.tensor(2 * (3 * 20**0.5 - 1) * 20**0.5))


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_penalty_by_functional_gradient_and_inside_a_compiled_function(compiled: bool) -> None:
    critic = small()
    data = clips(critic, length=16, batch=2, dtype=torch.float32)
    weight = critic.blocks[2].graph.weight

    def functional(*given: Tensor) -> Tensor:
        return gradient_penalty(critic, *given, compilable=True)

    eager = gradient_penalty(critic, *data)
    (expected,) = torch.autograd.grad(eager, weight, retain_graph=True)
    assert expected.any()
    penalty_of = torch.compile(functional, backend="aot_eager") if compiled else functional
    penalty = penalty_of(*data)
    torch.testing.assert_close(penalty, eager)
    (gradient,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-4)


def test_penalty_ignores_autocast() -> None:
    critic = small()
    data = clips(critic, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        inside = gradient_penalty(critic, *data)
        total = critic_loss(critic, *data[:3], alpha=data[3]).total
    assert inside.dtype == torch.float32
    assert total.dtype == torch.float32
    torch.testing.assert_close(inside, gradient_penalty(critic, *data), atol=0, rtol=0)


def test_penalty_can_be_measured_without_gradients() -> None:
    critic = small()
    data = clips(critic, dtype=torch.float32)
    with torch.no_grad():
        penalty = gradient_penalty(critic, *data)
    assert not penalty.requires_grad
    torch.testing.assert_close(penalty, gradient_penalty(critic, *data).detach())


def test_critic_loss_adds_its_parts_and_spares_the_generator() -> None:
    critic = small()
    real, fake, label, alpha = clips(critic, dtype=torch.float32)
    fake.requires_grad_()
    loss = critic_loss(critic, real, fake, label, penalty_weight=7.0, alpha=alpha)
    torch.testing.assert_close(loss.total.detach(), loss.fake - loss.real + 7 * loss.penalty)
    torch.testing.assert_close(loss.real, critic(real, label).mean().detach())
    loss.total.backward()
    assert fake.grad is None
    bare = critic_loss(critic, real, fake, label, penalty_weight=0.0)
    assert bare.penalty == 0
    generator_loss(critic, fake, label).backward()
    assert fake.grad is not None
    assert fake.grad.any()


def test_one_pass_or_two_give_the_same_loss_and_gradients() -> None:
    critic = small().double()
    real, fake, label, alpha = clips(critic)
    one, two = (
        critic_loss(critic, real, fake, label, alpha=alpha, together=together).total for together in (True, False)
    )
    torch.testing.assert_close(one, two)
    weight = critic.blocks[3].temporal.weight
    gradients = [torch.autograd.grad(loss, weight)[0] for loss in (one, two)]
    torch.testing.assert_close(*gradients)


def test_a_penalty_critic_may_stand_in_for_a_compiled_one() -> None:
    critic = small()
    real, fake, label, alpha = clips(critic, dtype=torch.float32)

    def opaque(joints: Tensor, labels: Tensor) -> Tensor:
        return critic(joints, labels).detach()

    loss = critic_loss(opaque, real, fake, label, alpha=alpha, penalty_critic=critic)
    torch.testing.assert_close(loss.penalty, gradient_penalty(critic, real, fake, label, alpha).detach())


def test_scores_do_not_depend_on_the_batch_and_do_on_the_label() -> None:
    critic = small().double()
    real, _, label, _ = clips(critic)
    torch.testing.assert_close(critic(real, label)[1:2], critic(real[1:2], label[1:2]))
    assert not torch.allclose(critic(real, label), critic(real, label + 1))


def test_wrong_inputs_are_refused() -> None:
    critic = small()
    real, fake, label, alpha = clips(critic, dtype=torch.float32)
    with pytest.raises(ValueError, match=r"expected \[b, t, 25, 3\]"):
        critic(real.permute(0, 3, 1, 2), label)
    with pytest.raises(ValueError, match="at least 16 frames, got length 15"):
        critic(real[:, :15], label)
    with pytest.raises(ValueError, match="expected int64"):
        critic(real, label[:2])
    with pytest.raises(ValueError, match="differ in shape"):
        critic_loss(critic, real, fake[:, 1:], label)
    with pytest.raises(ValueError, match="differ in shape"):
        gradient_penalty(critic, real, fake[1:], label)
    with pytest.raises(ValueError, match="one number per sample"):
        gradient_penalty(critic, real, fake, label, alpha[:1])
    with pytest.raises(ValueError, match="widths are"):
        Discriminator(NTU25, 3, 5, widths=(1, 2, 3))
