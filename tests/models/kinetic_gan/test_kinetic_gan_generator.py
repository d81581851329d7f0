"""The generator: sizes, equality with the naive implementation, lengths, switches, truncation, refusals."""

from types import ModuleType

import pytest
import torch
from torch import Tensor

from mutoscope.models.kinetic_gan import Generator
from mutoscope.models.kinetic_gan.generator import truncate
from mutoscope.models.kinetic_gan.graph_layers import resize_time
from mutoscope.models.kinetic_gan.pyramid import pyramid_for
from mutoscope.models.kinetic_gan.reference import export_reference, load_reference
from mutoscope.structures import CMU31, H36M15, H36M16, NTU25, Skeleton

WIDTHS = (32, 24, 16, 12, 8)


def small(skeleton: Skeleton = NTU25, channels: int = 3, *, latent: int = 12, length: int = 64) -> Generator:
    torch.manual_seed(0)
    return stir(Generator(skeleton, channels, 5, latent=latent, length=length, mapping_depth=2, widths=WIDTHS))


def stir(network: Generator) -> Generator:
    """Move every tensor off its initial value, so that a forgotten term shows; tame the mapping network."""
    with torch.no_grad():
        for name, x in network.state_dict().items():
            if x.is_floating_point():
                x.add_(0.4 * torch.rand_like(x) - 0.2)
                if name.startswith("mapping") and x.ndim == 2:
                    x.mul_(x.shape[1] ** -0.5)
    return network


def inputs(network: Generator, batch: int = 3, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, network.latent, dtype=dtype), torch.arange(batch) % network.classes


@pytest.mark.parametrize(
    ("skeleton", "channels", "classes", "depth", "count"),
    [(NTU25, 3, 60, 4, 3_944_401), (NTU25, 3, 120, 8, 5_936_785), (H36M16, 2, 10, 4, 3_643_254)],
)
def test_parameter_counts_of_the_paper_s_sizes(
    skeleton: Skeleton, channels: int, classes: int, depth: int, count: int
) -> None:
    network = Generator(skeleton, channels, classes, mapping_depth=depth)
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize(
    ("skeleton", "channels", "length", "latent"),
    [(NTU25, 3, 16, 12), (NTU25, 2, 50, 7), (H36M16, 2, 64, 12), (CMU31, 3, 33, 12), (H36M15, 3, 128, 12)],
    ids=["t16", "ntu-2d-t50", "h36m", "cmu-t33", "h36m15-t128"],
)
@pytest.mark.parametrize("training", [True, False])
def test_values_and_gradients_equal_the_naive_network(
    naive: ModuleType, skeleton: Skeleton, channels: int, length: int, latent: int, training: bool
) -> None:
    fast = small(skeleton, channels, latent=latent).double().train(training)
    slow = naive.NaiveGenerator(
        pyramid_for(skeleton), channels, 5, latent=latent, length=length, mapping_depth=2, widths=WIDTHS
    )
    slow.double().train(training).load_state_dict(export_reference(fast), strict=True)
    z, label = inputs(fast, dtype=torch.float64)
    noise = [plane.double() for plane in fast.draw_noise(len(z), length)]
    one = fast(z, label, noise=noise, length=length)
    two = slow(z, label, noise=[naive.to_channels_first(plane) for plane in noise])
    torch.testing.assert_close(one, naive.to_channels_last(two), atol=1e-9, rtol=1e-9)
    assert float(one.detach().std()) > 0.05

    weight = torch.randn_like(one)
    (one * weight).sum().backward()
    (two * naive.to_channels_first(weight)).sum().backward()
    gradients = Generator(skeleton, channels, 5, latent=latent, mapping_depth=2, widths=WIDTHS).double()
    with torch.no_grad():
        for mine, holder in zip(fast.parameters(), gradients.parameters(), strict=True):
            holder.copy_(mine.grad)
    found = export_reference(gradients)
    for key, parameter in slow.named_parameters():
        torch.testing.assert_close(
            found[key], parameter.grad, atol=1e-8, rtol=1e-6, msg=lambda text, key=key: f"{key}: {text}"
        )
    buffers = export_reference(fast)
    for key, buffer in slow.named_buffers():
        torch.testing.assert_close(buffers[key], buffer, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("length", [16, 31, 50, 100, 1024])
def test_one_set_of_weights_makes_any_length(length: int) -> None:
    network = small().eval()
    z, label = inputs(network, 2)
    clip = network(z, label, length=length)
    assert clip.shape == (2, length, 25, 3)
    assert bool((clip.abs() <= 1).all())
    assert bool((clip.abs() < 0.99).any())
    shapes = [tuple(plane.shape) for plane in network.draw_noise(2, length)]
    assert shapes == network.noise_shapes(2, length)
    assert shapes[-1] == (2, length, 25, 1)


@pytest.mark.parametrize(("source", "target"), [(12, 25), (25, 12), (5, 5), (1, 7), (8, 2), (7, 3)])
def test_resize_takes_nearest_frames(source: int, target: int) -> None:
    x = torch.arange(source, dtype=torch.float32).view(1, source, 1, 1)
    expected = [float(i * source // target) for i in range(target)]
    assert resize_time(x, target).flatten().tolist() == expected
    assert torch.nn.functional.interpolate(x[..., 0, 0][None], target)[0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("row", "norms", "skips", "noise", "depth"),
    [
        ("A", range(7), True, False, 0),
        ("B", range(7), False, False, 0),
        ("C", (1, 3, 5), True, False, 0),
        ("D", (1, 3, 5), True, True, 0),
        ("E", (1, 3, 5), True, True, 4),
    ],
)
def test_switches_of_table_1(row: str, norms: range, skips: bool, noise: bool, depth: int) -> None:
    network = Generator(
        NTU25, 3, 5, latent=12, widths=WIDTHS,
        mapping_depth=depth, norm_blocks=norms, use_skip=skips, use_noise=noise,
    )  # fmt: skip
    names = {name for name, _ in network.named_parameters()}
    assert {i for i in range(7) if f"blocks.{i}.norm.weight" in names} == set(norms), row
    assert {i for i in range(7) if f"blocks.{i}.skip.weight" in names} == (set(range(1, 6)) if skips else set())
    assert {i for i in range(7) if f"blocks.{i}.noise_weight" in names} == (set(range(7)) if noise else set())
    assert sum(name.startswith("mapping") for name in names) == 2 * depth
    z, label = inputs(network)
    assert network(z, label).shape == (3, 64, 25, 3)
    if not depth:
        assert network.map(z, label)[:, 5:].equal(z)


def test_noise_is_fresh_unless_given() -> None:
    network = small().eval()
    z, label = inputs(network)
    noise = network.draw_noise(3, generator=torch.Generator().manual_seed(1))
    assert network(z, label, noise=noise).equal(network(z, label, noise=noise))
    assert not network(z, label).equal(network(z, label))


def test_label_changes_the_motion() -> None:
    network = small().eval()
    z, label = inputs(network)
    noise = network.draw_noise(3)
    assert not torch.allclose(network(z, label, noise=noise), network(z, label + 1, noise=noise), atol=1e-3)


def test_truncation_moves_between_centre_and_sample() -> None:
    network = small().eval()
    z, label = inputs(network)
    noise = network.draw_noise(3)
    whole = network(z, label, noise=noise)
    torch.testing.assert_close(network(z, label, truncation=1.0, noise=noise), whole)
    points = torch.randn(40, network.width)
    centre = network.centre("reference", points)
    torch.testing.assert_close(centre, torch.stack([network.mapping(p[None])[0] for p in points]).mean(0))
    half = network.synthesise(centre + 0.5 * (network.map(z, label) - centre), noise=noise)
    torch.testing.assert_close(network(z, label, truncation=0.5, centre=centre, noise=noise), half)
    collapsed = network(z, label, truncation=0.0, noise=[plane[:1].expand_as(plane) for plane in noise])
    torch.testing.assert_close(collapsed[0], collapsed[1])


def test_centres_per_class_and_of_latents() -> None:
    network = small().eval()
    points, noise = torch.randn(30, network.latent), network.draw_noise(3)
    table = network.centre("class", points)
    expected = network.map(points, torch.full((30,), 3)).mean(0)
    torch.testing.assert_close(table[3], expected)
    z, label = inputs(network)
    by_name = network(z, label, truncation=0.3, centre="class", noise=noise)
    by_hand = network(z, label, truncation=0.3, centre=network.centre("class")[label], noise=noise)
    torch.testing.assert_close(by_name, by_hand)
    mean = network.centre("latent")
    by_name = network(z, label, truncation=0.3, centre="latent", noise=noise)
    torch.testing.assert_close(by_name, network(mean + 0.3 * (z - mean), label, noise=noise))


def test_the_centre_is_kept_and_follows_the_weights() -> None:
    network = small().eval()
    before = network.centre()
    state = torch.random.get_rng_state()
    assert network.centre() is before
    assert torch.random.get_rng_state().equal(state)
    with torch.no_grad():
        network.mapping[0].bias.add_(1.0)
    assert not network.centre().equal(before)
    later = network.centre()
    network.load_state_dict(small().state_dict())
    torch.testing.assert_close(network.centre(), before)
    assert not later.equal(before)
    with torch.inference_mode():
        torch.testing.assert_close(network.centre(), before)


def test_mapping_starts_unscaled() -> None:
    torch.manual_seed(0)
    network = Generator(NTU25, 3, 60)
    weight = network.mapping[2].weight
    assert abs(float(weight.detach().std()) - 1) < 0.01
    w = network.map(torch.randn(64, 512), torch.arange(64) % 60)
    assert 2e4 < float(w.detach().std()) < 3e5


def test_autocast_keeps_the_shape_and_roughly_the_values() -> None:
    network = small().eval()
    z, label = inputs(network)
    noise = network.draw_noise(3)
    with torch.autocast("cpu", torch.bfloat16):
        half = network(z, label, noise=noise)
    torch.testing.assert_close(half.float(), network(z, label, noise=noise), atol=0.1, rtol=0)


def test_loads_what_it_exports() -> None:
    one, two = small(), Generator(NTU25, 3, 5, latent=12, mapping_depth=2, widths=WIDTHS)
    load_reference(two, export_reference(one))
    loaded = two.state_dict()
    for name, x in one.state_dict().items():
        assert loaded[name].equal(x), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 15}, "at least 16 frames"),
        ({"mapping_depth": -1}, "mapping_depth is -1"),
        ({"widths": (8, 8)}, "five positive numbers"),
        ({"norm_blocks": (7,)}, "names block 7"),
        ({"latent": 0}, "must be positive"),
    ],
)
def test_wrong_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Generator(NTU25, 3, 5, **{"latent": 12, "widths": WIDTHS, **change})  # type: ignore[arg-type]


def test_wrong_inputs_are_refused() -> None:
    network = small().eval()
    z, label = inputs(network)
    with pytest.raises(ValueError, match=r"z has shape \(3, 11\), expected \[b, 12\]"):
        network(z[:, 1:], label)
    with pytest.raises(ValueError, match="expected int64"):
        network(z, label.float())
    with pytest.raises(ValueError, match=r"of shape \(2,\), expected int64 of shape \[3\]"):
        network(z, label[:2])
    with pytest.raises(ValueError, match="at least 16 frames, got length 8"):
        network(z, label, length=8)
    with pytest.raises(ValueError, match="one \\[b, t, v, 1\\] per block"):
        network(z, label, noise=network.draw_noise(3, length=32))
    with pytest.raises(ValueError, match="There is no truncation centre 'mean'"):
        network(z, label, truncation=0.5, centre="mean")
    with pytest.raises(ValueError, match="The truncation centre has shape"):
        network(z, label, truncation=0.5, centre=torch.zeros(3))
    with pytest.raises(ValueError, match=r"expected \[n, 17\]"):
        network.centre("reference", torch.zeros(10, 12))
    with pytest.raises(ValueError, match="w has shape"):
        network.synthesise(z)
    quiet = Generator(NTU25, 3, 5, latent=12, widths=WIDTHS, use_noise=False)
    with pytest.raises(ValueError, match="use_noise=False"):
        quiet(z, label, noise=network.draw_noise(3))


def test_truncate_broadcasts_only_what_it_should() -> None:
    w = torch.randn(3, 4)
    torch.testing.assert_close(truncate(w, torch.zeros(1, 4), 0.5), w / 2)
    with pytest.raises(ValueError, match="truncation centre"):
        truncate(w, torch.zeros(2, 4), 0.5)
