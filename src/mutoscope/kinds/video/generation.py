"""``generate`` for video that can be steered: pictures and steps, motion of a video, or figures of what can be told."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mutoscope.kinds.results import Generated
from mutoscope.kinds.task import LoadedModel
from mutoscope.kinds.video.figures import Figure, action_gallery, composed, layers, shift_grid
from mutoscope.kinds.video.generated import DecodedVideo, SteeredVideo, SteeringFigures
from mutoscope.kinds.video.settings import VideoRequest
from mutoscope.kinds.video.sources import pictures_of, read_clip
from mutoscope.kinds.video.steps import STEP, Steps
from mutoscope.models.generative import GenerativeModule
from mutoscope.models.steerable import SteerableVideo
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import VideoBatch, VideoSample


def steerable(module: GenerativeModule) -> SteerableVideo:
    """The model as one that can be steered.

    Raises:
        ConfigError: for one that cannot.
    """
    if not isinstance(module, SteerableVideo):
        raise ConfigError(
            f"{type(module).__name__} makes video, but cannot be steered; expected a model that derives from "
            "mutoscope.models.steerable.SteerableVideo."
        )
    return module


def generate_steered(model: LoadedModel, request: VideoRequest) -> Generated:
    """What a request asks for.

    Raises:
        ConfigError: for steps, pictures or mixtures of wishes that cannot be meant.
        FileError: for a picture or video that cannot be read.
    """
    check_mixture(request)
    module = steerable(model.module)
    if request.decode is not None:
        return _decoded(model, module, Path(request.decode))
    images = pictures_of(model, request)
    if request.show is not None:
        return _figures(module, images, request)
    if request.actions is not None:
        steps = Steps.read(request.actions, module.local_actions, model.info.need_frame_size())
    elif request.transfer is not None:
        steps = found_steps(module, read_clip(model, Path(request.transfer), "transfer"))
        steps = steps if request.camera == "source" else steps.without_camera()
    else:
        return SteeredVideo(sample=on_host(module.generate(images)))
    return SteeredVideo(sample=played(module, images, steps))


def check_mixture(request: VideoRequest) -> None:
    """Whether the wishes of a request go together.

    Raises:
        ConfigError: saying what to leave out or to add.
    """
    request.check()
    if request.decode is not None:
        return
    if (request.image is None) == (request.clip is None):
        raise ConfigError(
            "Give a picture to begin with, image=start.png, or the number of a clip, clip=0; or decode=clip.mp4."
        )
    if request.image is not None and not request.asked:
        raise ConfigError(
            f"image= needs actions='[[8,0,2],[0,0,5]]' or actions=file.yaml, transfer=source.mp4 or show=grid; {STEP}."
        )


def found_steps(module: SteerableVideo, frames: Tensor) -> Steps:
    """The steps in a clip ``[1, t, 3, h, w]`` uint8."""
    found = module.decode(frames)
    sure = found.confidence[0].gather(-1, found.actions[0, :, None])[:, 0]
    return Steps(found.shifts[0].cpu(), found.actions[0].cpu(), found.background_shifts[0].cpu(), sure.cpu())


def played(module: SteerableVideo, images: VideoBatch, steps: Steps) -> VideoSample:
    """Clips that begin with the pictures and all do the same steps."""
    n, device = len(images), module.device
    told = (x[None].expand(n, *x.shape).to(device) for x in (steps.actions, steps.shifts, steps.pans))
    return on_host(module.play(images, *told))


def on_host(sample: VideoSample) -> VideoSample:
    """The same on the CPU."""
    moved: dict[str, Any] = {
        key: value.cpu() if isinstance(value, Tensor) else value for key, value in vars(sample).items()
    }
    return VideoSample(**moved)


def _decoded(model: LoadedModel, module: SteerableVideo, path: Path) -> DecodedVideo:
    frames = read_clip(model, path, "decode")
    steps = found_steps(module, frames)
    clip = VideoBatch(frames=frames, names=(path.stem,))
    return DecodedVideo(sample=played(module, clip, steps), steps=steps)


def _figures(module: SteerableVideo, images: VideoBatch, request: VideoRequest) -> SteeringFigures:
    assert request.show is not None
    wanted = [request.show] if isinstance(request.show, str) else list(request.show)
    if not wanted or len(set(wanted)) < len(wanted):
        raise ConfigError(f"show is {wanted}, expected figures, each once: show='[grid,gallery,composed,layers]'.")
    figures: dict[str, Figure] = {}
    sample = played(module, images, Steps(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), torch.zeros(0, 2)))
    for name in wanted:
        match name:
            case "grid":
                figures["grid"] = shift_grid(module, images, request.steps)
            case "gallery":
                figures["gallery"] = action_gallery(module, images, request.steps)
            case "composed":
                found, sample = composed(module, images)
                figures |= found
            case "layers":
                figures["layers"] = layers(module, images)
    return SteeringFigures(sample=on_host(sample), figures=figures)
