"""The one base class of all DataModules: loaders, workers, collation and the reproducible stream of batches."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Protocol, TypedDict

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from mutoscope.runtime.interrupts import ignore_interrupts
from mutoscope.structures import DatasetInfo, Kind

Split = Literal["train", "val", "test"]


class LabelledDataset(Protocol):
    """A map-style dataset that fetches whole batches and knows the label of every item.

    Where every pass over it cuts new random clips, it says ``repeats = True`` and is asked for ``item + n * pass``.
    """

    label: Tensor

    def __len__(self) -> int: ...

    def __getitems__(self, indices: list[int]) -> Any: ...


class StreamSampler(Sampler[list[int]]):
    """An endless stream of batches in which batch ``k`` depends on (seed, start, k, rank, world size) alone.

    Items come as one shuffled pass after the other, or, with ``balance``, with classes drawn evenly. Because a batch
    is a function of its position, a run resumed after ``n`` samples sees exactly what it would have seen.

    Args:
        label: ``[n]`` class of every item.
        batch_size: items per batch and rank.
        seed: of the order.
        start: position in the stream of the first item; batch sizes and processes may differ from those before it.
        rank, world: this process and how many there are; the ranks share each global batch without overlap.
        balance: draw classes with equal probability instead of items.
        repeats: yield ``item + n * pass`` instead of ``item``, so that a dataset that cuts a new random clip each time
            can tell the passes apart and still cut the same clip in a resumed run.
    """

    def __init__(
        self,
        label: Tensor,
        batch_size: int,
        seed: int,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
        balance: bool = False,
        repeats: bool = False,
    ) -> None:
        if len(label) == 0:
            raise ValueError("The training split is empty; there is nothing to draw batches from.")
        self.label, self.batch_size, self.seed, self.start = label, batch_size, seed, start
        self.rank, self.world, self.balance, self.repeats = rank, world, balance, repeats

    def batch(self, number: int) -> list[int]:
        """Item indices of batch ``number`` after the start on this rank."""
        first = self.start + (number * self.world + self.rank) * self.batch_size
        positions = torch.arange(first, first + self.batch_size)
        n = len(self.label)
        passes = positions // n
        items = torch.empty_like(positions)
        for p in passes.unique().tolist():
            here = passes == p
            items[here] = self._pass(p)[positions[here] % n]
        return [int(i) for i in (items + n * passes if self.repeats else items)]

    def _pass(self, number: int) -> Tensor:
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % (2**63))
        if not self.balance:
            return torch.randperm(len(self.label), generator=generator)
        count = torch.bincount(self.label)
        weight = (1.0 / count.clamp(min=1))[self.label]
        return torch.multinomial(weight, len(self.label), replacement=True, generator=generator)

    def __iter__(self) -> Iterator[list[int]]:
        number = 0
        while True:
            yield self.batch(number)
            number += 1


def as_fetched(batch: Any) -> Any:
    """Collation of datasets that fetch whole batches: there is nothing left to do."""
    return batch


class LoaderSettings(TypedDict, total=False):
    """What every dataset lets be set of its loaders, handed on as it is; :class:`DataModule` says what it means."""

    batch_size: int
    num_workers: int
    seed: int


class DataModule(LightningDataModule):
    """Base of all datasets.

    A dataset sets ``kind``, answers ``info`` after ``setup()`` and ``dataset(split)``; loaders, workers, the order of
    batches and the sharing between ranks are done here. Settings that many share are declared once, where they are
    read, and handed on (``**loader: Unpack[LoaderSettings]``); where one has another default in some dataset, that
    stands in its ``own_defaults``, and its constructor begins with ``loader = self.own_defaults | loader``.

    Args:
        batch_size: clips per batch and process.
        num_workers: loader processes; 0 loads in the training process.
        seed: of the order of batches and of anything random in the data itself.
        balance: draw classes evenly in training.
    """

    kind: ClassVar[Kind]
    #: the name given to ``@register``
    registered_name: ClassVar[str] = "unregistered"
    #: the config node it was built from; empty where its constructor was called
    node: Mapping[str, Any] = {}
    #: of shared settings, where they differ from those of the base
    own_defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, *, batch_size: int = 32, num_workers: int = 0, seed: int = 0, balance: bool = False) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, expected at least 1.")
        self.batch_size, self.num_workers, self.seed, self.balance = batch_size, num_workers, seed, balance
        #: position of the first training sample in the stream of all, set when a run is resumed
        self.start_sample = 0

    @property
    @abstractmethod
    def info(self) -> DatasetInfo:
        """Description of the data; complete (normaliser included) after ``setup()``."""

    @abstractmethod
    def dataset(self, split: Split) -> LabelledDataset:
        """The items of a split, available after ``setup()``."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes whenever the data or their preparation changes; keys caches of anything computed from them."""

    def describe(self) -> str:
        """What the dataset holds, in words; after ``setup()``."""
        info = self.info
        return (
            f"{len(self.dataset('train'))} training and {len(self.dataset('val'))} validation clips of {info.length} "
            f"frames at {info.fps:g} fps in {info.num_classes} classes"
        )

    def batches_per_epoch(self) -> int:
        """Full batches in one pass over the training split, over all ranks."""
        _, world = self._rank()
        return max(1, len(self.dataset("train")) // (self.batch_size * world))

    def train_dataloader(self) -> DataLoader[Any]:
        """An endless stream of batches, starting at ``start_sample``."""
        data = self.dataset("train")
        rank, world = self._rank()
        repeats = bool(getattr(data, "repeats", False))
        sampler = StreamSampler(
            data.label, self.batch_size, self.seed, self.start_sample, rank, world, self.balance, repeats
        )
        return self._loader(data, sampler)

    def once(self, split: Split) -> DataLoader[Any]:
        """Every item of a split once, in order, shared between ranks without repeats."""
        data = self.dataset(split)
        rank, world = self._rank()
        mine = list(range(rank, len(data), world))
        return self._loader(data, [mine[i : i + self.batch_size] for i in range(0, len(mine), self.batch_size)])

    def _loader(self, data: LabelledDataset, batches: Any) -> DataLoader[Any]:
        assert isinstance(data, Dataset)
        return DataLoader(
            data,
            batch_sampler=batches,
            collate_fn=as_fetched,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=ignore_interrupts,
        )

    def _rank(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size
