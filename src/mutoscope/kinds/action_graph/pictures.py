"""First frames: files, images, arrays or tensors as uint8 tensors of the model's size."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mutoscope.formats.pictures import PictureError, read_picture
from mutoscope.runtime.errors import ConfigError

#: a ``PIL`` image, ``[h, w, 3]`` uint8 array or ``[3, h, w]`` uint8 tensor
Picture = Image.Image | np.ndarray[Any, np.dtype[np.uint8]] | Tensor


def first_frame_of(given: str | Path | Picture, size: tuple[int, int]) -> Tensor:
    """A picture as ``[3, h, w]`` uint8 of the model's size (bilinear, as training frames are resized).

    Raises:
        ConfigError: no such file, or no picture.
    """
    if isinstance(given, str | Path):
        path = Path(given)
        try:
            return _resized(Image.fromarray(read_picture(path)), size)
        except FileNotFoundError:
            raise ConfigError(f"There is no picture '{path}'; first_frame= names the frame to start from.") from None
        except PictureError as error:
            raise ConfigError(str(error)) from error
    if isinstance(given, Image.Image):
        return _resized(given, size)
    array = given.detach().cpu().movedim(0, -1).numpy() if isinstance(given, Tensor) and given.ndim else given
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        shape = list(given.shape) if hasattr(given, "shape") else ""
        raise ConfigError(
            f"first_frame is a {type(given).__name__} {shape}, expected a picture: a path, a PIL image, a uint8 array "
            "[h, w, 3] or a uint8 tensor [3, h, w]."
        )
    return _resized(Image.fromarray(np.ascontiguousarray(array)), size)


def _resized(image: Image.Image, size: tuple[int, int]) -> Tensor:
    picture = image.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
