"""The map of attention that a generator shows is the one its graph layers use."""

import pytest
import torch

from mutoscope.models.sa_gcn import VARIANTS, Generator, GraphOptions, variant_options
from mutoscope.models.sa_gcn.attention_graph import SequenceGraph
from mutoscope.models.sa_gcn.generator import fold, unfold
from mutoscope.structures import H36M15

LENGTH = 9


def small(options: GraphOptions) -> Generator:
    torch.manual_seed(0)
    generator = Generator(
        H36M15, 2, 3, length=LENGTH, options=options, noise=6, hidden=12, widths=(8, 12, 10), graph_widths=(4, 6, 6)
    )
    for attention in (generator.sequence_attention, generator.pose_attention):
        attention.weight.data.fill_(0.6)
    # sharper than at the start, so that rows differ
    generator.pose_attention.query.weight.data.mul_(4)
    return generator.double()


def inputs(length: int = LENGTH) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    label = torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.5, 0.3]], dtype=torch.float64)
    return torch.randn(2, length, 6, dtype=torch.float64), label, torch.rand(2, 12, dtype=torch.float64)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("kept", [1, 3])
def test_motions_can_be_made_again_from_the_map(options: GraphOptions, kept: int) -> None:
    generator = small(variant_options("paper" if options.prune == "past" else "reference", kept=kept))
    shown = generator.attention(*inputs())
    make = SequenceGraph.by_rows if options.normalise == "row" else SequenceGraph.by_columns
    graph = make(shown, generator.adjacency, options.self_loop)
    noise, label, start = inputs()
    poses, _ = generator.pose_attention.with_map(generator._poses(noise, label, start))
    signals = fold(poses.unflatten(2, (-1, 2)), options.coordinates)
    again = unfold(generator.stack(signals, graph), 2, options.coordinates)
    torch.testing.assert_close(again, generator(noise, label, start), atol=1e-12, rtol=1e-12)
    # another map makes other motions, so the graph does depend on it
    other = make(shown.roll(1, dims=0), generator.adjacency, options.self_loop)
    changed = unfold(generator.stack(signals, other), 2, options.coordinates)
    assert not torch.allclose(changed, again)


@pytest.mark.parametrize("kept", [1, 3, 20])
def test_frames_attend_to_themselves_and_to_the_past_frames_kept(kept: int) -> None:
    generator = small(variant_options("paper", kept=kept))
    for length in (LENGTH, 14):
        shown = generator.attention(*inputs(length))
        assert shown.shape == (2, length, length)
        assert not shown.triu(1).any()
        assert (shown.diagonal(dim1=1, dim2=2) > 0).all()
        expected = torch.arange(length).clamp(max=kept) + 1
        assert torch.equal((shown > 0).sum(dim=2), expected.expand(2, -1))
        assert (shown.sum(dim=2) <= 1 + 1e-12).all()
        # what is kept is what was largest
        whole = generator._attended(*inputs(length))[1].tril(-1)
        left_out = whole.masked_fill(shown > 0, 0).amax(dim=2)
        kept_least = shown.tril(-1).masked_fill(shown.tril(-1) == 0, torch.inf).amin(dim=2)
        assert (left_out <= kept_least).all()


def test_the_reference_keeps_so_many_of_a_row_in_all() -> None:
    shown = small(variant_options("reference", kept=3)).attention(*inputs())
    assert not shown.triu(1).any()
    assert torch.equal((shown > 0).sum(dim=2), (torch.arange(LENGTH) + 1).clamp(max=3).expand(2, -1))


@pytest.mark.parametrize(
    "options", [variant_options("paper", kept=0), variant_options("paper", layer="cnn")], ids=["no past", "cnn"]
)
def test_without_attention_in_the_graph_there_is_nothing_to_show(options: GraphOptions) -> None:
    with pytest.raises(ValueError, match="The graph layers of this generator use no attention"):
        small(options).attention(*inputs())
