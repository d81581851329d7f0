"""The generator: shapes, what depends on what, layouts of coordinates, ablations, refusals."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mutoscope.models.sa_gcn import VARIANTS, Generator, GraphOptions, variant_options
from mutoscope.models.sa_gcn.generator import Coordinates, fold, unfold
from mutoscope.nn.narrow_conv import NarrowConv
from mutoscope.structures import H36M15, NTU25, Skeleton

CLASSES, LENGTH = 4, 8


def small(
    options: GraphOptions | None = None, *, skeleton: Skeleton = H36M15, channels: int = 2, length: int = LENGTH
) -> Generator:
    """A narrow generator with attention that is felt."""
    torch.manual_seed(0)
    generator = Generator(
        skeleton, channels, CLASSES, length=length, options=options or VARIANTS["paper"], noise=6, hidden=12,
        widths=(8, 12, 10), graph_widths=(4, 6, 6, 8, 8),
    )  # fmt: skip
    for attention in (generator.sequence_attention, generator.pose_attention):
        attention.weight.data.fill_(0.6)
    return generator


def inputs(batch: int = 4, length: int = LENGTH) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(batch, length, 6, generator=generator)
    return noise, torch.arange(batch) % CLASSES, torch.rand(batch, 12, generator=generator)


ABLATIONS = {
    "no past": variant_options("paper", kept=0),
    "cnn": variant_options("paper", layer="cnn"),
    "cnn 3x3": variant_options("paper", layer="cnn", kernel=(3, 3)),
    "st_gc": variant_options("paper", layer="st_gc", kernel=(5, 1)),
    "channels": variant_options("paper", coordinates="channels"),
    "self-loop": variant_options("paper", self_loop=0.1),
    "no activation": variant_options("paper", activation="none"),
    "dense": variant_options("paper", node_mixing="dense"),
    "separable": variant_options("paper", node_mixing="separable"),
    "random start": variant_options("paper", random_start=True),
}


@pytest.mark.parametrize("options", [*VARIANTS.values(), *ABLATIONS.values()], ids=[*VARIANTS, *ABLATIONS])
@pytest.mark.parametrize(("skeleton", "channels"), [(H36M15, 2), (NTU25, 3)], ids=["plane", "space"])
def test_every_variant_makes_motions_and_all_of_it_learns(
    options: GraphOptions, skeleton: Skeleton, channels: int
) -> None:
    generator = small(options, skeleton=skeleton, channels=channels)
    noise, label, _ = inputs()
    fake = generator(noise, label)
    assert fake.shape == (4, LENGTH, skeleton.num_joints, channels)
    (fake * torch.randn_like(fake)).sum().backward()
    idle = {name for name, p in generator.named_parameters() if p.grad is None or not bool(p.grad.any())}
    # a softmax does not notice what is added to all keys alike
    assert idle <= {"sequence_attention.key.bias", "pose_attention.key.bias"}


def test_length_is_free_unless_weights_mix_nodes() -> None:
    noise, label, start = inputs(length=13)
    assert small()(noise, label).shape[1] == 13
    for options in (VARIANTS["reference"], ABLATIONS["separable"]):
        with pytest.raises(ValueError, match="13 frames were asked for"):
            small(options)(noise, label, start)


def dependence(options: GraphOptions, batch: int) -> list[set[int]]:
    """For every sample of a batch, the samples whose noise it depends on."""
    generator, (noise, label, start) = small(options), inputs(batch)
    before = generator(noise, label, start)
    moved = []
    for sample in range(batch):
        changed = noise.clone()
        changed[sample] += 1
        moved.append((generator(changed, label, start) - before).abs().amax(dim=(1, 2, 3)) > 1e-6)
    return [{source for source in range(batch) if bool(moved[source][sample])} for sample in range(batch)]


def test_samples_of_a_batch_stand_alone() -> None:
    assert dependence(VARIANTS["paper"], 4) == [{0}, {1}, {2}, {3}]
    assert dependence(ABLATIONS["channels"], 3) == [{0}, {1}, {2}]


def test_the_reference_variant_mixes_samples_as_the_released_program_did() -> None:
    assert dependence(VARIANTS["reference"], 4) == [{0, 1}, {1, 2, 3}, {2, 0, 1}, {3, 2}]


def test_the_graph_of_the_reference_reads_memory_in_another_order() -> None:
    b, t, v = 3, 6, 15
    joints = torch.arange(b * t * v * 2.0).view(b, t, v, 2)
    reread = fold(joints, "reread")
    frames = joints.flatten(2)
    for m in range(2 * b):
        sample, half = divmod(m, 2)
        for r in range(t):
            for c in range(v):
                expected = frames[sample, half * t // 2 + r // 2, 15 * (r % 2) + c]
                assert reread[m % b, r, c, m // b, 0] == expected


@pytest.mark.parametrize("coordinates", ["batch", "channels", "reread"])
@pytest.mark.parametrize("t", [5, 6])
def test_coordinates_come_back(coordinates: Coordinates, t: int) -> None:
    joints = torch.randn(3, t, 15, 2)
    assert torch.equal(unfold(fold(joints, coordinates), 2, coordinates), joints)


def test_signals_are_coordinates_of_all_joints() -> None:
    joints = torch.randn(2, 3, 15, 2)
    assert torch.equal(fold(joints, "batch")[..., 1, 0], joints[..., 1])
    assert torch.equal(fold(joints, "channels")[:, :, :, 0], joints)


def test_past_frames_do_not_hear_of_later_ones_inside_the_graph() -> None:
    generator = small()
    poses = torch.randn(2, LENGTH, 30)
    changed = poses.clone()
    changed[:, 5] += 1

    def refine(x: Tensor) -> Tensor:
        y, attention = generator.pose_attention.with_map(x)
        return generator.stack(fold(y.unflatten(2, (-1, 2)), "batch"), generator._graph(attention))

    moved = (refine(changed) - refine(poses)).abs().amax(dim=(0, 2, 3, 4)) > 1e-7
    assert not bool(moved[:5].any())
    assert bool(moved[5])


def test_a_whole_generator_looks_one_frame_ahead() -> None:
    # the temporal convolution does; everything else looks back
    generator, (noise, label, _) = small(), inputs()
    changed = noise.clone()
    changed[:, 4:] += 1
    moved = (generator(changed, label) - generator(noise, label)).abs().amax(dim=(0, 2, 3)) > 1e-7
    assert moved.tolist()[:4] == [False, False, False, True]


def test_a_class_is_a_mixture_of_one() -> None:
    generator, (noise, label, _) = small(), inputs()
    weights = torch.eye(CLASSES)[label]
    assert torch.equal(generator(noise, label), generator(noise, weights))
    mixed = generator(noise, weights.roll(1, dims=0) * 0.3 + weights * 0.7)
    assert not torch.allclose(mixed, generator(noise, label), atol=1e-4)


def test_the_running_sum_starts_where_it_is_told() -> None:
    noise, label, start = inputs()
    paper, released = small(), small(replace(VARIANTS["paper"], random_start=True))
    assert torch.equal(paper(noise, label), paper(noise, label))
    assert torch.equal(paper(noise, label, torch.zeros_like(start)), paper(noise, label))
    assert torch.equal(released(noise, label, start), paper(noise, label, start))
    assert not torch.equal(released(noise, label), released(noise, label))


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_narrow_convolution_is_the_usual_one(kernel: int) -> None:
    torch.manual_seed(0)
    conv = NarrowConv(7, 2, kernel).double()
    x = torch.randn(3, LENGTH, 7, dtype=torch.float64, requires_grad=True)
    usual = F.conv1d(x.mT, conv.weight, conv.bias, padding=kernel // 2).mT
    torch.testing.assert_close(conv(x), usual, atol=1e-12, rtol=1e-12)
    along = torch.randn_like(usual)
    inputs = (x, conv.weight, conv.bias)
    for found, wanted in zip(
        torch.autograd.grad((conv(x) * along).sum(), inputs),
        torch.autograd.grad((usual * along).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-12)
    with pytest.raises(ValueError, match="over time is 4, expected an odd number"):
        NarrowConv(7, 2, 4)


@pytest.mark.parametrize("name", ["paper", "channels", "self-loop", "no past", "cnn", "st_gc"])
def test_a_fresh_generator_moves_as_much_as_normalised_data(name: str) -> None:
    torch.manual_seed(0)
    generator = Generator(H36M15, 2, 10, options={**VARIANTS, **ABLATIONS}[name])
    with torch.no_grad():
        spread = generator(torch.randn(8, 50, 30), torch.arange(8)).std(dim=0).mean()
    assert 0.2 < float(spread) < 3.0


def test_sizes_as_released() -> None:
    for variant, count in (("reference", 5_847_029 - 2 * 110 - 2 * 30), ("paper", 3_032_291)):
        generator = Generator(H36M15, 2, 10, options=VARIANTS[variant])
        assert sum(p.numel() for p in generator.parameters()) == count, variant


def test_bfloat16_stays_near() -> None:
    generator, (noise, label, _) = small(), inputs()
    expected = generator(noise, label)
    with torch.autocast("cpu", torch.bfloat16):
        found = generator(noise, label)
    assert bool((found - expected).abs().max() < 0.1 * expected.abs().max())


def test_what_a_generator_refuses() -> None:
    generator, (noise, label, _) = small(), inputs()
    for bad, message in (
        (lambda: generator(noise[..., 1:], label), "noise has shape"),
        (lambda: generator(noise, label.float()), "label has shape"),
        (lambda: generator(noise, torch.rand(4, CLASSES + 1)), "label has shape"),
        (lambda: Generator(H36M15, 0, 3), "channels"),
        (lambda: Generator(H36M15, 2, 3, graph_widths=()), "graph widths"),
        (lambda: variant_options("letter"), "variant is 'letter'"),  # type: ignore[arg-type]
        (lambda: variant_options("reference", activation="relu"), "activation was set"),
        (lambda: variant_options("paper", layer="gcn"), "layer is 'gcn'"),  # type: ignore[arg-type]
        (lambda: variant_options("paper", kept=-1), "kept is -1"),
        (lambda: variant_options("reference", kept=0), "kept is 0"),
        (lambda: variant_options("paper", self_loop=-0.1), "self_loop is -0.1"),
        (lambda: small(variant_options("paper", layer="cnn", kernel=(2, 3))), "odd extents"),
        (lambda: small(variant_options("paper", layer="st_gc", kernel=(4, 1))), "odd number of frames"),
    ):
        with pytest.raises(ValueError, match=message):
            bad()
