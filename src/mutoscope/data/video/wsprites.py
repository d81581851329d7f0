"""``wsprites``: characters that walk, cast spells and slash before a moving landscape (GLASS, section 4.1)."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mutoscope.data.datamodule import DataModule, LoaderSettings, Split
from mutoscope.data.registry import register
from mutoscope.data.video.sprites_world.render import (
    BACKGROUND_MOTION,
    HEIGHT,
    WIDTH,
    Landscape,
    draw,
    landscape,
)
from mutoscope.data.video.sprites_world.sheets import ACTIONS, CHARACTERS, Wardrobe
from mutoscope.data.video.sprites_world.walk import Script
from mutoscope.formats.pictures import read_picture
from mutoscope.structures import DatasetInfo, Kind, VideoBatch

#: changes when the same settings begin to give other frames
_VERSION = 1
#: shares of the characters, in their order, at whose ends training and validation stop
_TRAIN, _VAL = 0.8, 0.9
_FPS = 10.0


class SpriteClips(Dataset[VideoBatch]):
    """Every clip of some videos, drawn when it is asked for.

    Args:
        script: what happens in the videos.
        length: frames of a clip.
        wardrobe, scenery: who and where.
        shrink: frames are so many times smaller, by the mean of their pixels.
        legacy_mask: see :func:`~mutoscope.data.video.sprites_world.render.draw`.
    """

    def __init__(
        self,
        script: Script,
        length: int,
        wardrobe: Wardrobe,
        scenery: Landscape,
        *,
        shrink: int = 1,
        legacy_mask: bool = False,
    ) -> None:
        self.script, self.length = script, length
        self.wardrobe, self.scenery = wardrobe, scenery
        self.shrink, self.legacy_mask = shrink, legacy_mask
        self.starts = script.action.shape[1] - length + 1
        #: the first local action of every clip
        self.label: Tensor = torch.from_numpy(script.action[:, 1 : self.starts + 1].reshape(-1).copy())

    def __len__(self) -> int:
        return len(self.label)

    def __getitems__(self, indices: list[int]) -> VideoBatch:
        return VideoBatch.cat([self._clip(*divmod(index, self.starts)) for index in indices])

    @property
    def videos(self) -> int:
        """How many videos there are, for :meth:`video`."""
        return len(self.script.character)

    def video(self, number: int) -> VideoBatch:
        """A whole video as one clip."""
        return self._clip(number, 0, self.script.action.shape[1])

    def _clip(self, number: int, start: int, length: int | None = None) -> VideoBatch:
        script, span = self.script, slice(start, start + (length or self.length))
        crops = script.background[number, span]
        background = np.stack([self.scenery.view(int(x), int(y)) for x, y in crops])
        character = int(script.character[number])
        frames, masks = draw(
            self.wardrobe.character(character),
            (script.action[number, span], script.cycle[number, span]),
            script.position[number, span],
            background,
            legacy_mask=self.legacy_mask,
        )
        shifts = np.diff(script.position[number, span], axis=0) / self.shrink
        pans = np.diff(crops, axis=0) * np.array(BACKGROUND_MOTION) / self.shrink
        name = f"sprite_{character:06d}_video_{number % self._videos(character):03d}_{span.start}-{span.stop - 1}"
        return VideoBatch(
            frames=self._small(torch.from_numpy(frames).permute(0, 3, 1, 2))[None],
            names=(name,),
            masks=self._small_masks(torch.from_numpy(masks)[:, None])[None],
            actions=torch.from_numpy(script.action[number, span][1:].copy())[None],
            shifts=torch.from_numpy(shifts.astype(np.float32))[None],
            background_shifts=torch.from_numpy(pans.astype(np.float32))[None],
            sprites=torch.tensor([character]),
        )

    def _videos(self, character: int) -> int:
        return int((self.script.character == character).sum())

    def _small_masks(self, masks: Tensor) -> Tensor:
        """The agent is where it covers half of a pixel: soft masks would not even match themselves."""
        small = self._small(masks)
        return small if self.shrink == 1 else 255 * (small >= 128).to(torch.uint8)

    def _small(self, pictures: Tensor) -> Tensor:
        """Means of ``shrink`` x ``shrink`` pixels, halves to the even one; whole numbers are ten times as quick."""
        if self.shrink == 1:
            return pictures.contiguous()
        rows = [pictures.numpy()[..., i :: self.shrink, :] for i in range(self.shrink)]
        parts = [row[..., i :: self.shrink] for row in rows for i in range(self.shrink)]
        total = np.add(parts[0], parts[1], dtype=np.uint16)
        for part in parts[2:]:
            total += part
        bits = 2 * (self.shrink.bit_length() - 1)
        total += (1 << (bits - 1)) - 1 + ((total >> bits) & 1)
        return torch.from_numpy((total >> bits).astype(np.uint8, order="C"))


@register("wsprites")
class WSprites(DataModule):
    """The data set of GLASS's paper, listed in an index and drawn when it is asked for.

    Characters are split as in the paper: those of the validation and the test split are never seen in training, and
    their colour of skin neither. Shifts are in pixels.

    Args:
        sheets: a folder with sprite sheets in the geometry of the Liberated Pixel Cup (``body/0.png`` ...); characters
            are drawn by the program unless given.
        background: any picture; a landscape is drawn unless given.
        characters: so many of each split's, evenly spread; all by default.
        videos: of every character.
        frames: of every video.
        length: frames of a clip; every frame of a video that has enough after it begins one.
        shrink: frames of 96x128 pixels become so many times smaller: 1, 2 or 4.
        whole_pixels: let characters stand on whole pixels of the smaller frames, and look alike wherever that is. Else
            a step of 7 pixels is 3.5 of frames of half the size, and every other picture of somebody is another.
        legacy_mask: masks and outlines as released.
        world_seed: of what happens in the videos; ``seed`` is that of the order of batches.
        batch_size, num_workers, seed: see :class:`~mutoscope.data.datamodule.DataModule`.

    Raises:
        ValueError: for numbers out of range.
    """

    kind: ClassVar[Kind] = "video"
    own_defaults: ClassVar[LoaderSettings] = {"batch_size": 4}

    def __init__(
        self,
        *,
        sheets: str | None = None,
        background: str | None = None,
        characters: int | None = None,
        videos: int = 10,
        frames: int = 90,
        length: int = 12,
        shrink: int = 1,
        whole_pixels: bool = False,
        legacy_mask: bool = False,
        world_seed: int = 1543,
        **loader: Unpack[LoaderSettings],
    ) -> None:
        loader = self.own_defaults | loader
        super().__init__(**loader)
        least = {"characters": characters or 1, "videos": videos}
        for name, count in least.items():
            if count < 1:
                raise ValueError(f"{name} is {count}, expected at least 1.")
        if not 2 <= length <= frames:
            raise ValueError(f"Clips have {length} frames and videos {frames}; expected 2 <= length <= frames.")
        if shrink not in (1, 2, 4):
            raise ValueError(f"shrink is {shrink}, expected 1, 2 or 4.")
        if world_seed < 0:
            raise ValueError(f"world_seed is {world_seed}, expected 0 or more.")
        self.sheets = None if sheets is None else Path(sheets).expanduser()
        self.background = None if background is None else Path(background).expanduser()
        self.characters, self.videos, self.frames, self.length = characters, videos, frames, length
        self.shrink, self.legacy_mask, self.world_seed = shrink, legacy_mask, world_seed
        self.whole_pixels = whole_pixels
        self._splits: dict[Split, SpriteClips] = {}

    def setup(self, stage: str | None = None) -> None:
        """Put sheets and index together; takes seconds.

        Raises:
            FileNotFoundError: naming the sheet or picture that is missing.
            ValueError: for one that is no picture, or no sheet.
        """
        if self._splits:
            return
        wardrobe = Wardrobe.drawn() if self.sheets is None else Wardrobe.read(self.sheets)
        scenery = Landscape(landscape() if self.background is None else read_picture(self.background))
        for split in ("train", "val", "test"):
            chosen = self._chosen(split)
            script = Script.written(chosen, self.videos, self.frames, self.world_seed)
            if self.whole_pixels:
                script = replace(script, position=script.position // self.shrink * self.shrink)
            self._splits[split] = SpriteClips(
                script, self.length, wardrobe, scenery, shrink=self.shrink, legacy_mask=self.legacy_mask
            )

    def _chosen(self, split: Split) -> NDArray[np.int64]:
        ends = {"train": (0, _TRAIN), "val": (_TRAIN, _VAL), "test": (_VAL, 1)}[split]
        first, last = (int(np.ceil(CHARACTERS * share)) for share in ends)
        everybody = np.arange(first, last)
        if self.characters is None or self.characters >= len(everybody):
            return everybody
        return everybody[np.linspace(0, len(everybody) - 1, self.characters).round().astype(np.int64)]

    def dataset(self, split: Split) -> SpriteClips:
        if split not in self._splits:
            raise ValueError(f"There is no split '{split}' yet; call setup(), and ask for train, val or test.")
        return self._splits[split]

    @property
    def info(self) -> DatasetInfo:
        return DatasetInfo(
            name="wsprites",
            kind="video",
            classes=tuple(name for name, _, _ in ACTIONS),
            fps=_FPS,
            length=self.length,
            channels=3,
            frame_size=(HEIGHT // self.shrink, WIDTH // self.shrink),
            units="px",
        )

    @property
    def fingerprint(self) -> str:
        files = [*sorted(self.sheets.glob("*/*.png"))] if self.sheets else []
        files += [self.background] if self.background else []
        stamps = [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
        what = [self.characters, self.videos, self.frames, self.length, self.shrink, self.legacy_mask, self.world_seed]
        if self.whole_pixels:
            stamps.append(["whole pixels"])
        text = json.dumps([_VERSION, what, stamps])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def describe(self) -> str:
        train, val = (len(np.unique(self.dataset(split).script.character)) for split in ("train", "val"))
        height, width = self.info.need_frame_size()
        return (
            f"{train} characters in training and {val} others in validation, {self.videos} videos of {self.frames} "
            f"frames of {height}x{width} each, {len(self.dataset('train')):,} training clips of {self.length} frames"
        )
