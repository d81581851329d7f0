"""``generate`` for video that can be steered: a picture and steps, or a clip whose motion is played again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from mutoscope.config.assembly import prepared
from mutoscope.data.framing import picture
from mutoscope.formats.pictures import read_picture
from mutoscope.formats.plain_files import PlainFileError, parse_yaml
from mutoscope.formats.text import TextError, read_text
from mutoscope.kinds.task import LoadedModel
from mutoscope.kinds.video.generated import SteeredVideo
from mutoscope.kinds.video.settings import VideoRequest
from mutoscope.models.glass.module import Glass
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import VideoBatch, VideoSample

_STEP = "steps are [pixels right, pixels down, local action], with [.., camera right, camera down] after them"


def generate_steered(model: LoadedModel, request: VideoRequest) -> SteeredVideo:
    """Frames for a request.

    Raises:
        ConfigError: for steps or pictures that cannot be meant.
    """
    module = model.module
    assert isinstance(module, Glass)
    if (request.image is None) == (request.clip is None):
        raise ConfigError("Give a picture to begin with, image=start.png, or the number of a clip, clip=0.")
    if request.image is not None and request.actions is None:
        raise ConfigError(f"image= needs actions='[[8,0,2],[0,0,5]]' or actions=file.yaml; {_STEP}.")
    batch, name = _begin(model, request)
    if request.actions is None:
        return _on_host(module.generate(batch), name)
    shifts, actions, pans = _steps(request.actions, len(module.network.local_motion.actions.codes))
    device = module.device
    sample = module.play(batch, actions[None].to(device), shifts[None].to(device), pans[None].to(device))
    return _on_host(sample, name)


def _on_host(sample: VideoSample, name: str) -> SteeredVideo:
    moved: dict[str, Any] = {
        key: value.cpu() if isinstance(value, Tensor) else value for key, value in vars(sample).items()
    }
    return SteeredVideo(sample=VideoSample(**moved), name=name)


def _begin(model: LoadedModel, request: VideoRequest) -> tuple[VideoBatch, str]:
    if request.image is not None:
        path = Path(request.image)
        frame = picture(Image.fromarray(read_picture(path)), model.info.need_frame_size())
        return VideoBatch(frames=torch.from_numpy(frame.copy())[None, None], names=(path.stem,)), path.stem
    datamodule = prepared({**model.config["dataset"], **(request.dataset or {})})
    clips = datamodule.dataset("val")
    number = request.clip
    assert number is not None
    if not 0 <= number < len(clips):
        raise ConfigError(f"clip is {number}, but the validation split has clips 0 to {len(clips) - 1}.")
    return clips.__getitems__([number]), f"clip{number}"


def _steps(asked: str | Path | Sequence[Sequence[float]], codes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Shifts ``[t, 2]``, actions ``[t]`` and camera shifts ``[t, 2]``."""
    listed: Any = asked
    if isinstance(asked, str | Path):
        try:
            listed = parse_yaml(read_text(Path(asked)), str(asked))
        except (PlainFileError, TextError) as error:
            raise ConfigError(f"actions: {error}") from error
        listed = listed.get("actions") if isinstance(listed, dict) else listed
    if not isinstance(listed, list | tuple) or not listed:
        raise ConfigError(f"actions is no list of steps; {_STEP}.")
    shifts, actions, pans = [], [], []
    for number, step in enumerate(listed):
        fits = isinstance(step, list | tuple) and len(step) in (3, 5)
        if not fits or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in step):
            raise ConfigError(f"Step {number} of actions is {step}; {_STEP}.")
        dx, dy, action, *camera = (float(v) for v in step)
        if not action.is_integer() or not 0 <= action < codes:
            raise ConfigError(f"Step {number} of actions asks for action {action:g}; the model has 0 to {codes - 1}.")
        shifts.append([dx, dy])
        actions.append(int(action))
        pans.append(camera or [0.0, 0.0])
    found = torch.tensor(shifts), torch.tensor(actions), torch.tensor(pans)
    if not bool(found[0].isfinite().all() and found[2].isfinite().all()):
        raise ConfigError("actions hold shifts that are no finite numbers of pixels.")
    return found
