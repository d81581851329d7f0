"""``toy_blocks``: procedural CATER, the embedded default of action graphs; nothing to download, minutes to make."""

from typing import Unpack

from filelock import FileLock

from mutoscope.data.action_graph.cater import Cater
from mutoscope.data.action_graph.clips import ClipSettings
from mutoscope.data.action_graph.toy_blocks_world import WORLD_VERSION, Order, make, write_list
from mutoscope.data.datamodule import Split
from mutoscope.data.registry import register
from mutoscope.runtime.parallel import each

_STREAMS: tuple[Split, ...] = ("train", "val", "test")


@register("toy_blocks")
class ToyBlocks(Cater):
    """Solids on a floor that slide, turn, are lifted and covered, drawn by a program and read as CATER is.

    Five shapes, three sizes, nine colours, two materials; up to three objects act at once. The videos are written
    once, in CATER's own tree, below ``<cache_dir>/toy_blocks``; about 0.4 MB and two seconds of one core each. A video
    depends on world_seed, split and its number alone: asking for more of them makes only those that are missing.

    Args:
        videos, val_videos, test_videos: how many of every split.
        world_seed: of what happens in them.
        size, length, frames_length, layout_batch_size, windows_per_video, max_videos, cache_dir, cache_workers,
            batch_size, num_workers, seed: see :class:`~mutoscope.data.action_graph.clips.ActionGraphDataModule`.

    Raises:
        ValueError: for a number out of its range.
    """

    def __init__(
        self,
        *,
        videos: int = 200,
        val_videos: int = 40,
        test_videos: int = 40,
        world_seed: int = 0,
        **clips: Unpack[ClipSettings],
    ) -> None:
        counts = {"train": videos, "val": val_videos, "test": test_videos}
        for name, count in zip(("videos", "val_videos", "test_videos"), counts.values(), strict=True):
            if count < 1:
                raise ValueError(f"{name} is {count}, expected at least 1.")
        if world_seed < 0:
            raise ValueError(f"world_seed is {world_seed}, expected 0 or more.")
        super().__init__(**clips)
        self.world_seed = world_seed
        self.tree = self.cache_dir / "toy_blocks" / f"world{WORLD_VERSION}-seed{world_seed}" / "max2action"
        self.root = str(self.tree)
        self.counts: dict[Split, int] = {
            split: count if self.max_videos is None else min(count, self.max_videos)
            for split, count in zip(_STREAMS, counts.values(), strict=True)
        }
        # the tree may hold more videos, asked for by others
        self.lists = {split: f"lists/{split}_{count}.txt" for split, count in self.counts.items()}

    def prepare_data(self) -> None:
        """Make the videos that are missing, then prepare them as :class:`.cater.Cater` does.

        Raises:
            OSError: if the disk has too little room.
        """
        orders = {split: self._orders(split) for split in _STREAMS}
        self.tree.mkdir(parents=True, exist_ok=True)
        with FileLock(self.tree / "lock"):
            missing = [order for split in _STREAMS for order in orders[split] if not order.done]
            for _ in each(make, missing, self.cache_workers, "Filming toy_blocks") if missing else ():
                pass
            for split, made in orders.items():
                if not (path := self.tree / str(self.lists[split])).exists():
                    write_list(path, [order.name for order in made])
        super().prepare_data()

    def _orders(self, split: Split) -> list[Order]:
        stream = _STREAMS.index(split)
        return [
            Order(self.tree, f"toy_{split}_{number:06d}", (self.world_seed, stream, number))
            for number in range(self.counts[split])
        ]
