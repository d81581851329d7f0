"""Pictures and videos that somebody gives to a model, in the size and at the rate of what it was trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mutoscope.config.assembly import prepared
from mutoscope.config.foreign import taken_dataset
from mutoscope.data.frame_cache import FrameSource, source_frames
from mutoscope.data.framing import Fit, Framing
from mutoscope.formats.pictures import read_picture
from mutoscope.kinds.task import LoadedModel
from mutoscope.kinds.video.settings import VideoRequest
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import VideoBatch

#: frames of a video that is decoded or transferred, at most
_MOST_FRAMES = 5000


def framing_of(model: LoadedModel) -> Framing:
    """How pictures come to the frames of a model: as those of its data set did; stretched where it says nothing."""
    fit: Any = model.trained_on.get("fit")
    return Framing(fit if fit in get_args(Fit) else "stretch")


def pictures_of(model: LoadedModel, request: VideoRequest) -> VideoBatch:
    """What a request begins with: pictures as clips of one frame, or a clip of the model's data set.

    Raises:
        ConfigError: for a number that no clip has, or two pictures of one name.
        FileNotFoundError, PictureError: for a picture that cannot be read.
    """
    if request.image is not None:
        paths = [Path(one) for one in _listed(request.image)]
        names = [path.stem for path in paths]
        if not paths or len(set(names)) < len(names):
            raise ConfigError(f"image names {', '.join(names) or 'no picture'}; give pictures of different names.")
        framing, size = framing_of(model), model.info.need_frame_size()
        frames = [framing.of(Image.fromarray(read_picture(path)), size) for path in paths]
        return VideoBatch(frames=torch.from_numpy(np.stack(frames))[:, None], names=tuple(names))
    datamodule = prepared(taken_dataset(model.trained_on, request.dataset or {}, str(model.path)))
    clips, number = datamodule.dataset("val"), request.clip
    assert number is not None
    if not 0 <= number < len(clips):
        raise ConfigError(f"clip is {number}, but the validation split has clips 0 to {len(clips) - 1}.")
    clip: VideoBatch = clips.__getitems__([number])
    return VideoBatch(frames=clip.frames, names=(f"clip{number}",))


def read_clip(model: LoadedModel, path: Path, setting: str) -> Tensor:
    """A video or a folder of frames as ``[1, t, 3, h, w]`` uint8, at the model's rate.

    Args:
        model: whose size and rate are wanted.
        path: of the video.
        setting: that names it, for errors.

    Raises:
        ConfigError: for a video of one frame, or too long a one.
        FileNotFoundError, VideoError, FrameFolderError, PictureError: for one that cannot be read.
    """
    info, framing = model.info, framing_of(model)
    size = info.need_frame_size()
    frames: list[NDArray[np.uint8]] = []
    for shown in source_frames(FrameSource(path.stem, path, 0, info.fps, framing)):
        if len(frames) == _MOST_FRAMES:
            raise ConfigError(f"{setting}: {path} has more than {_MOST_FRAMES:,} frames; cut it.")
        frames.append(framing.of(Image.fromarray(shown), size))
    if len(frames) < 2:
        raise ConfigError(
            f"{setting}: {path} has {len(frames)} frame at {info.fps:g} a second; motion needs two frames at least."
        )
    return torch.from_numpy(np.stack(frames))[None]


def _listed(image: str | Path | Sequence[str | Path]) -> Sequence[str | Path]:
    return [image] if isinstance(image, str | Path) else image
