"""The stream of batches: reproducible from any point on, shared between ranks, fair to classes."""

from collections import Counter
from itertools import islice

import pytest
import torch

from mutoscope.config.signatures import parameters
from mutoscope.data.action_graph.cater import Cater
from mutoscope.data.action_graph.toy_blocks import ToyBlocks
from mutoscope.data.datamodule import DataModule, StreamSampler
from mutoscope.data.motion.toy_motion import ToyMotion
from mutoscope.data.video.wsprites import WSprites

LABEL = torch.tensor([0] * 5 + [1] * 12 + [2] * 6)
N = len(LABEL)


def stream(batches: int, **options: int | bool) -> list[list[int]]:
    values = {"batch_size": 4, "seed": 7} | options
    return list(islice(StreamSampler(LABEL, **values), batches))  # type: ignore[arg-type]


@pytest.mark.parametrize("balance", [False, True])
def test_a_batch_is_a_function_of_its_position(balance: bool) -> None:
    whole = stream(30, balance=balance)
    for number in (1, 5, 6, 17):
        assert stream(30 - number, start=4 * number, balance=balance) == whole[number:]


@pytest.mark.parametrize(("batch_size", "world"), [(3, 1), (6, 1), (3, 2), (1, 5)])
def test_the_stream_goes_on_after_the_samples_seen_whatever_the_batches(batch_size: int, world: int) -> None:
    items = [item for batch in stream(90) for item in batch]
    ranks = [stream(8, start=52, batch_size=batch_size, rank=rank, world=world) for rank in range(world)]
    together = [item for step in zip(*ranks, strict=True) for batch in step for item in batch]
    assert together == items[52 : 52 + len(together)]


def test_every_pass_is_a_permutation_and_no_two_are_alike() -> None:
    items = [item for batch in stream(N) for item in batch]
    passes = [items[i : i + N] for i in range(0, 4 * N, N)]
    assert all(sorted(p) == list(range(N)) for p in passes)
    assert len({tuple(p) for p in passes}) == 4


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_each_global_batch_without_overlap(world: int) -> None:
    ranks = [stream(40, rank=rank, world=world) for rank in range(world)]
    together = [item for step in zip(*ranks, strict=True) for batch in step for item in batch]
    # together they are the stream of one process with a larger batch
    assert together == [item for batch in stream(40, batch_size=4 * world) for item in batch]
    for first in range(0, len(together) - N, N):
        assert sorted(together[first : first + N]) == list(range(N))


def test_seeds_shuffle_differently() -> None:
    assert stream(5) == stream(5)
    assert stream(5) != stream(5, seed=8)


def test_balance_draws_classes_evenly() -> None:
    counts = Counter(int(LABEL[item]) for batch in stream(1500, balance=True) for item in batch)
    for label in range(3):
        assert counts[label] / 6000 == pytest.approx(1 / 3, abs=0.03)
    natural = Counter(int(LABEL[item]) for batch in stream(N) for item in batch)
    assert [natural[label] for label in range(3)] == [4 * 5, 4 * 12, 4 * 6]


def test_batches_may_be_larger_than_the_data() -> None:
    (batch,) = stream(1, batch_size=2 * N)
    assert Counter(batch) == Counter(dict.fromkeys(range(N), 2))


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(ValueError, match="training split is empty"):
        StreamSampler(LABEL[:0], 4, 0)


def module(**options: int) -> ToyMotion:
    data = ToyMotion(
        clips_per_class=5, val_clips_per_class=3, classes=["walk", "wave"], length=16, batch_size=4, **options
    )
    data.setup()
    return data


def test_once_gives_every_item_once_in_order() -> None:
    data = module()
    labels = torch.cat([batch.label for batch in data.once("val")])
    assert torch.equal(labels, data.dataset("val").label)


def test_workers_load_what_the_training_process_would() -> None:
    for start in (0, 3):
        batches = []
        for workers in (0, 2):
            data = module(num_workers=workers)
            data.start_sample = start * data.batch_size
            batches.append(list(islice(data.train_dataloader(), 4)))
        for here, there in zip(*batches, strict=True):
            assert torch.equal(here.joints, there.joints)
            assert torch.equal(here.label, there.label)


def test_sizes_must_make_sense() -> None:
    with pytest.raises(ValueError, match="batch_size is 0, expected at least 1"):
        ToyMotion(batch_size=0)
    assert module().batches_per_epoch() == 2


@pytest.mark.parametrize(("cls", "batch_size"), [(ToyMotion, 32), (ToyBlocks, 2), (Cater, 2), (WSprites, 4)])
def test_shared_settings_have_the_defaults_that_are_told(cls: type[DataModule], batch_size: int) -> None:
    data, told = cls(), parameters(cls)
    shared = set(told) & {"batch_size", "num_workers", "seed", "balance", "length", "channels", "root_rule", "scaling"}
    assert {key: getattr(data, key) for key in shared} == {key: told[key].default for key in shared}
    assert data.batch_size == batch_size
    # what is given wins
    assert cls(batch_size=5, seed=3).batch_size == 5
    assert cls(batch_size=5, seed=3).seed == 3
