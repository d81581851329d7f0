"""Pictures of any shape as frames of one size."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Fit = Literal["crop", "letterbox", "stretch"]


@dataclass(frozen=True)
class Framing:
    """How a picture of another shape comes to that of the frames.

    Args:
        fit: ``crop`` keeps the middle, ``letterbox`` keeps everything between black bars, ``stretch`` keeps everything
            and no proportions.
        box: (left, top, right, bottom) pixels of the picture to begin with; all of it by default.
    """

    fit: Fit = "stretch"
    box: tuple[int, int, int, int] | None = None

    def of(self, image: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
        """A picture brought to (height, width), bilinear and anti-aliased: ``[3, h, w]`` uint8 RGB.

        Raises:
            ValueError: for a box that is not within the picture.
        """
        image = image.convert("RGB")
        if self.box is not None:
            left, top, right, bottom = self.box
            if not (0 <= left < right <= image.width and 0 <= top < bottom <= image.height):
                raise ValueError(f"the box {list(self.box)} is not within its {image.width}x{image.height} pixels")
            image = image.crop(self.box)
        height, width = size
        if self.fit == "letterbox":
            return _letterboxed(image, size).transpose(2, 0, 1)
        part = _middle(image, width / height) if self.fit == "crop" else None
        resized = image.resize((width, height), Image.Resampling.BILINEAR, box=part)
        return np.asarray(resized).transpose(2, 0, 1)


def picture(image: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture stretched to (height, width), bilinear and anti-aliased: ``[3, h, w]`` uint8 RGB."""
    return Framing().of(image, size)


def _middle(image: Image.Image, ratio: float) -> tuple[float, float, float, float]:
    """The largest box of this width over height in the middle of a picture."""
    width, height = min(image.width, image.height * ratio), min(image.height, image.width / ratio)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return left, top, left + width, top + height


def _letterboxed(image: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = size
    scale = min(width / image.width, height / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    page = Image.new("RGB", (width, height))
    page.paste(image.resize(inner, Image.Resampling.BILINEAR), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return np.asarray(page)
