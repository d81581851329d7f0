"""Checkpoints of the original: shapes, inference of sizes, round trips, refusals."""

from types import ModuleType

import pytest
import torch

from mutoscope.models.sa_gcn import ClipCritic, FrameCritic, Generator, variant_options
from mutoscope.models.sa_gcn.reference import (
    clip_critic_from_reference,
    export_reference,
    frame_critic_from_reference,
    generator_from_reference,
    key_map,
    load_reference,
)
from mutoscope.structures import H36M15, NTU25, Skeleton

CRITIC_WIDTHS = (12, 10, 14, 6)


def small(skeleton: Skeleton = H36M15) -> Generator:
    torch.manual_seed(0)
    return Generator(
        skeleton, 2, 5, length=6, options=variant_options("reference", kept=3), noise=7, embedding=8, projection=9,
        hidden=11, widths=(8, 12, 10), graph_widths=(2, 3, 4, 5, 6),
    )  # fmt: skip


def small_critics() -> tuple[ClipCritic, FrameCritic]:
    return (
        ClipCritic(15, 2, 5, length=6, widths=CRITIC_WIDTHS, classifier=True),
        FrameCritic(15, 2, 5, frames=4, widths=CRITIC_WIDTHS),
    )


def test_layout_of_the_released_networks() -> None:
    generator = export_reference(Generator(H36M15, 2, 10, options=variant_options("reference")))
    clip = export_reference(ClipCritic(15, 2, 10))
    frame = export_reference(FrameCritic(15, 2, 10, frames=21))
    assert [sum(x.numel() for x in state.values()) for state in (generator, clip, frame)] == [
        5_847_029,
        2_199_410,
        1_239_319,
    ]
    shapes = {key: tuple(x.shape) for key, x in generator.items()}
    assert shapes["w2.weight"] == (60, 50, 1)
    assert shapes["rnn.weight_ih_l0"] == (300, 60)
    assert shapes["attn_seq_1.w_q.weight"] == (108, 110)
    assert shapes["attn_seq_2.layer_norm.weight"] == (30,)
    assert shapes["linear.weight"] == (30, 1024, 3)
    assert shapes["gc3.w.weight"] == (750, 750)
    assert shapes["gc4.conv.weight"] == (128, 64, 1, 1)
    assert shapes["w_g1.weight"] == (64, 1, 1, 1)
    assert shapes["w_g2.weight"] == (128, 64, 1, 1)
    assert shapes["w_output.weight"] == (1, 128, 1, 1)
    assert {key: tuple(x.shape) for key, x in clip.items()}["block2.0.weight"] == (1024, 1010, 1)
    assert {key: tuple(x.shape) for key, x in frame.items()}["linear3.weight"] == (1, 21)


def test_every_tensor_is_mapped_once() -> None:
    for network in (small(), *small_critics()):
        pairs = key_map(network)
        assert sorted(pair.ours for pair in pairs) == sorted(network.state_dict())
        assert len({pair.theirs for pair in pairs}) == len(pairs)


def test_sizes_are_told_from_shapes_and_weights_come_back() -> None:
    clip, frame = small_critics()
    for network, build in (
        (small(), lambda state: generator_from_reference(state, kept=3)),
        (small(NTU25), lambda state: generator_from_reference(state, skeleton=NTU25, kept=3)),
        (clip, clip_critic_from_reference),
        (frame, frame_critic_from_reference),
    ):
        state = export_reference(network)
        again = build(state)
        torch.testing.assert_close(again.state_dict(), network.state_dict(), atol=0, rtol=0)
        torch.testing.assert_close(export_reference(again), state, atol=0, rtol=0)


def test_exports_load_into_plain_networks_and_do_the_same(dense: ModuleType) -> None:
    generator = Generator(
        H36M15, 2, 5, length=6, options=variant_options("reference", kept=3), noise=7, widths=(8, 12, 10)
    )
    plain = dense.DenseGenerator(
        generator.adjacency + torch.eye(15), length=6, classes=5, kept=3, noise=7, widths=(8, 12, 10)
    )
    plain.load_state_dict(export_reference(generator))
    noise, label, start = torch.randn(3, 6, 7), torch.eye(5)[:3], torch.rand(3, 100)
    torch.testing.assert_close(generator(noise, label, start).flatten(2), plain(noise, label, start))


def test_a_critic_without_a_second_head_takes_a_checkpoint_that_has_one() -> None:
    state = export_reference(small_critics()[0])
    critic = ClipCritic(15, 2, 5, length=6, widths=CRITIC_WIDTHS)
    load_reference(critic, state)
    x, label = torch.randn(2, 6, 15, 2), torch.tensor([0, 1])
    assert torch.equal(critic(x, label).score, clip_critic_from_reference(state)(x, label).score)
    del state["linear3.weight"], state["linear3.bias"]
    load_reference(critic, state)


def test_checkpoints_that_do_not_fit() -> None:
    state = export_reference(small())
    with pytest.raises(ValueError, match=r"gc2\.w\.bias is missing"):
        generator_from_reference({k: v for k, v in state.items() if k != "gc2.w.bias"})
    with pytest.raises(ValueError, match="extra belongs to no part"):
        generator_from_reference({**state, "extra": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"w1\.bias has shape \[3\]"):
        generator_from_reference({**state, "w1.bias": torch.zeros(3)})
    with pytest.raises(ValueError, match="no multiples of the 25 joints"):
        generator_from_reference(state, skeleton=NTU25)
    with pytest.raises(ValueError, match=r"no entry 'w1\.weight'"):
        generator_from_reference({})
    with pytest.raises(ValueError, match="no multiple of channels=4"):
        clip_critic_from_reference(export_reference(small_critics()[0]), channels=4)
    with pytest.raises(ValueError, match="variant='reference' alone"):
        export_reference(Generator(H36M15, 2, 3))
