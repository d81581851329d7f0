"""Batches of action graphs: put together, taken apart, and told the time."""

import pytest
import torch

from mutoscope.structures import CATER_VOCABULARY, ActionGraphBatch, ClockedGraph


def graph(objects: int, actions: int, seed: int) -> ClockedGraph:
    """A random graph of one clip with an image node."""
    random = torch.Generator().manual_seed(seed)
    sizes = torch.tensor(CATER_VOCABULARY.sizes)
    attributes = 1 + (torch.rand(objects + 1, 4, generator=random) * (sizes - 1)).long()
    attributes[-1] = 0
    things = torch.arange(objects)
    return ClockedGraph(
        attributes=attributes,
        clip=torch.zeros(objects + 1, dtype=torch.long),
        relations=torch.stack([things, torch.zeros_like(things), torch.full_like(things, objects)], dim=1),
        subject=torch.randint(objects, (actions,), generator=random),
        action=torch.randint(1, 6, (actions,), generator=random),
        object=torch.randint(objects, (actions,), generator=random),
        progress=torch.randn(actions, 2, generator=random).sort(dim=1).values,
        destination=torch.rand(actions, 2, generator=random),
        num_clips=1,
    )


def batch(objects: int, actions: int, seed: int) -> ActionGraphBatch:
    random = torch.Generator().manual_seed(seed)
    return ActionGraphBatch(
        graph=graph(objects, actions, seed),
        boxes=torch.rand(objects + 1, 5, 4, generator=random),
        frames=torch.randint(256, (1, 5, 3, 8, 8), generator=random, dtype=torch.uint8),
        names=(f"clip{seed}",),
    )


def same(a: ActionGraphBatch, b: ActionGraphBatch) -> bool:
    tensors = ("attributes", "clip", "relations", "subject", "action", "object", "progress", "destination")
    assert a.frames is not None
    assert b.frames is not None
    return (
        all(torch.equal(getattr(a.graph, name), getattr(b.graph, name)) for name in tensors)
        and (a.graph.num_clips, a.graph.most, a.names) == (b.graph.num_clips, b.graph.most, b.names)
        and torch.equal(a.boxes, b.boxes)
        and torch.equal(a.frames, b.frames)
    )


def test_clips_come_apart_as_they_were_put_together() -> None:
    singles = [batch(3, 2, 0), batch(5, 0, 1), batch(1, 4, 2)]
    together = ActionGraphBatch.cat(singles)
    assert len(together) == 3
    assert together.graph.most == 5
    for number, single in enumerate(singles):
        assert same(together.select([number]), single)
    assert same(together.select([2, 0]), ActionGraphBatch.cat([singles[2], singles[0]]))


def test_edges_stay_within_their_clip() -> None:
    together = ClockedGraph.cat([graph(3, 4, 0), graph(2, 3, 1), graph(6, 5, 2)])
    assert torch.equal(together.clip[together.subject], together.clip[together.object])
    assert torch.equal(together.clip[together.relations[:, 0]], together.clip[together.relations[:, 2]])
    # relations point at the image node of their clip
    assert not together.real[together.relations[:, 2]].any()


def test_clocks_run_from_the_progress_at_the_first_frame_to_that_after_the_last() -> None:
    one = graph(2, 3, 3)
    clocks = one.clocks(8)
    assert clocks.shape == (8, 3)
    torch.testing.assert_close(clocks[0], one.progress[:, 0])
    torch.testing.assert_close(clocks[4], one.progress.mean(dim=1))


def test_what_cannot_be_joined_is_refused() -> None:
    one = graph(2, 1, 0)
    varying = ClockedGraph(**{**vars(one), "relations": one.relations.expand(4, -1, -1)})
    with pytest.raises(ValueError, match="change from frame to frame cannot be joined"):
        ClockedGraph.cat([one, varying])
    with pytest.raises(ValueError, match="no action graphs"):
        ClockedGraph.cat([])
    with pytest.raises(IndexError, match="no clip 1; the batch has 1"):
        one.select([1])
