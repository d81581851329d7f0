"""Checkpoints of the original: shapes, inference of sizes, round trips, refusals."""

from types import ModuleType

import pytest
import torch
from torch import Tensor

from mutoscope.models.kinetic_gan import Discriminator, Generator
from mutoscope.models.kinetic_gan.pyramid import GraphPyramid, pyramid_for
from mutoscope.models.kinetic_gan.reference import (
    discriminator_from_reference,
    export_reference,
    generator_from_reference,
    key_map,
    key_map_report,
    load_reference,
)
from mutoscope.structures import CMU31, H36M16, NTU25

WIDTHS = (32, 24, 16, 12, 8)


def small() -> Generator:
    return Generator(NTU25, 3, 5, latent=12, mapping_depth=2, widths=WIDTHS)


def test_layout_of_the_released_generator() -> None:
    state = export_reference(Generator(NTU25, 3, 60))
    assert len(state) == 94
    assert len(export_reference(Generator(NTU25, 3, 120, mapping_depth=8))) == 102
    shapes = {key: tuple(x.shape) for key, x in state.items()}
    assert shapes["mlp.mlp.6.weight"] == (572, 572)
    assert shapes["st_gcn_networks.0.gcn.conv.weight"] == (1536, 572, 1, 1)
    assert shapes["st_gcn_networks.2.tcn.0.weight"] == (128, 128, 3, 1)
    assert shapes["st_gcn_networks.5.residual.0.weight"] == (3, 32, 1, 1)
    assert shapes["st_gcn_networks.5.tcn.1.num_batches_tracked"] == ()
    assert shapes["st_gcn_networks.6.noise.weight"] == (1, 3, 1, 1)
    assert shapes["edge_importance.6"] == (3, 25, 25)
    assert "st_gcn_networks.6.residual.0.weight" not in shapes


def test_layout_of_the_released_critic() -> None:
    state = export_reference(Discriminator(H36M16, 2, 10))
    shapes = {key: tuple(x.shape) for key, x in state.items()}
    assert len(shapes) == 35
    assert len(export_reference(Discriminator(NTU25, 3, 5, latent=24))) == 37
    assert shapes["st_gcn_networks.0.gcn.conv.weight"] == (96, 12, 1, 1)
    assert shapes["st_gcn_networks.4.residual.weight"] == (512, 256, 1, 1)
    assert shapes["edge_importance.3"] == (3, 2, 2)
    assert shapes["fcn.weight"] == (1, 512)


def test_every_tensor_is_mapped_once_and_comes_back() -> None:
    for network in (small(), Discriminator(NTU25, 3, 5, latent=12, widths=WIDTHS)):
        pairs, state = key_map(network), network.state_dict()
        assert sorted(pair.ours for pair in pairs) == sorted(state)
        assert len({pair.theirs for pair in pairs}) == len(pairs)
        for pair in pairs:
            assert pair.read(pair.write(state[pair.ours])).equal(state[pair.ours]), pair.ours


def test_names_are_those_of_an_independent_implementation(naive: ModuleType) -> None:
    pyramid = pyramid_for(NTU25)
    slow = naive.NaiveGenerator(pyramid, 3, 5, latent=12, mapping_depth=2, widths=WIDTHS)
    assert {k: x.shape for k, x in slow.state_dict().items()} == {
        k: x.shape for k, x in export_reference(small()).items()
    }


@pytest.mark.parametrize(
    "network",
    [
        small(),
        Generator(H36M16, 2, 4, latent=9, mapping_depth=3, widths=WIDTHS),
        Generator(NTU25, 2, 5, latent=12, mapping_depth=0, widths=WIDTHS, norm_blocks=range(7), use_noise=False),
        Generator(NTU25, 3, 5, latent=12, mapping_depth=0, widths=WIDTHS, use_skip=False),
    ],
    ids=["ntu", "h36m", "A", "B"],
)
def test_sizes_are_told_from_the_file(network: Generator) -> None:
    state = export_reference(network)
    again = generator_from_reference(state, length=48)
    assert (again.channels, again.classes, again.latent) == (network.channels, network.classes, network.latent)
    assert again.length == 48
    assert again.pyramid is network.pyramid
    assert {k: x.shape for k, x in again.state_dict().items()} == {k: x.shape for k, x in network.state_dict().items()}
    for key, x in export_reference(again).items():
        assert x.equal(state[key]), key


@pytest.mark.parametrize("latent", [32, 12])
def test_critic_sizes_are_told_from_the_file(latent: int) -> None:
    critic = Discriminator(H36M16, 2, 4, latent=latent, widths=WIDTHS)
    again = discriminator_from_reference(export_reference(critic))
    x, label = torch.randn(2, 32, 16, 2), torch.tensor([0, 3])
    torch.testing.assert_close(again(x, label), critic(x, label))


def test_other_graphs_must_be_named() -> None:
    state = export_reference(Generator(CMU31, 3, 5, latent=12, mapping_depth=1, widths=WIDTHS))
    with pytest.raises(ValueError, match="31 joints, which no released skeleton has"):
        generator_from_reference(state, length=64)
    assert isinstance(generator_from_reference(state, length=64, skeleton=CMU31).pyramid, GraphPyramid)


def test_misfits_are_all_named() -> None:
    state = export_reference(small())
    del state["label_emb.weight"]
    state["extra"] = torch.zeros(1)
    state["edge_importance.6"] = torch.zeros(3, 4, 4)
    with pytest.raises(ValueError) as error:
        load_reference(small(), state)
    for part in ("label_emb.weight is missing", "extra belongs to no part", r"edge_importance.6 has shape [3, 4, 4]"):
        assert part in str(error.value)
    with pytest.raises(ValueError, match=r"no entry 'label_emb\.weight'"):
        generator_from_reference(state, length=64)


def test_a_deeper_file_does_not_load_into_a_shallower_network() -> None:
    deep = Generator(NTU25, 3, 5, latent=12, mapping_depth=8, widths=WIDTHS)
    with pytest.raises(ValueError, match=r"mlp\.mlp\.4\.bias belongs to no part"):
        load_reference(small(), export_reference(deep))


def test_a_critic_is_no_generator() -> None:
    state = export_reference(Discriminator(NTU25, 3, 5, latent=12, widths=WIDTHS))
    with pytest.raises(ValueError, match=r"generator of the original has blocks 0\.\.6"):
        generator_from_reference(state, length=64)


def test_report_lists_every_pair() -> None:
    network = small()
    lines = key_map_report(network).splitlines()
    assert len(lines) == len(network.state_dict())
    assert "st_gcn_networks.0.gcn.conv.weight [96, 17, 1, 1] -> blocks.0.graph.weight [3, 32, 17]" in lines


def test_export_copies() -> None:
    network = small()
    exported: dict[str, Tensor] = export_reference(network)
    exported["label_emb.weight"].zero_()
    assert network.embedding.weight.any()
