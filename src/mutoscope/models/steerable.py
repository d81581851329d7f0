"""What every model of video that can be steered answers, beside what a generative model does."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from mutoscope.models.generative import GenerativeModule
from mutoscope.structures import Kind, VideoBatch, VideoSample

#: what a model sees of a clip that it draws again: the first frame alone, or the real agent at every step
Unroll = Literal["autoregressive", "teacher_forced"]


@dataclass(frozen=True)
class Decoded:
    """The motion in clips of ``t`` frames.

    Args:
        shifts, background_shifts: ``[b, t - 1, 2]`` pixels, right and down.
        actions: ``[b, t - 1]`` int64 local actions in 0..K - 1.
        confidence: ``[b, t - 1, K]`` how near each action is, summing to 1.
        masks: ``[b, t, 1, h, w]`` in (0, 1).
    """

    shifts: Tensor
    background_shifts: Tensor
    actions: Tensor
    confidence: Tensor
    masks: Tensor


@dataclass(frozen=True)
class Layers:
    """Pictures taken apart.

    Args:
        masks: ``[n, 1, h, w]`` in (0, 1), where the agent is.
        agents: ``[n, 3, h, w]`` uint8 the agent on black.
        backgrounds: ``[n, 3, h, w]`` uint8 what lies behind it.
    """

    masks: Tensor
    agents: Tensor
    backgrounds: Tensor


class SteeringSession(Protocol):
    """Plays on from ``n`` pictures; keeps its own state."""

    @property
    def frame(self) -> Tensor:
        """What is shown now, uint8, shaped as the pictures were."""

    @property
    def mask(self) -> Tensor:
        """``[n, 1, h, w]`` where the agent is now."""

    @property
    def agent(self) -> Tensor:
        """``[n, 3, h, w]`` uint8 the agent now, on black."""

    def advance(self, actions: Tensor, shifts: Tensor, camera: Tensor) -> Tensor:
        """The next frames ``[n, 3, h, w]`` uint8.

        Args:
            actions: ``[n]`` int64 local actions.
            shifts, camera: ``[n, 2]`` pixels, right and down, of agent and background.
        """


class SteerableVideo(GenerativeModule[VideoBatch, VideoSample]):
    """Base of models that find shifts and local actions in video, and draw what they are told by them."""

    takes: ClassVar[Kind] = "video"

    @property
    @abstractmethod
    def local_actions(self) -> int:
        """How many local actions K it knows."""

    @abstractmethod
    def generate(self, batch: VideoBatch, *, unroll: Unroll = "autoregressive", seed: int = 0) -> VideoSample:
        """Clips again, from their first frames and the motion that is found in them.

        Args:
            batch: real clips.
            unroll: see :data:`Unroll`.
            seed: of everything random.
        """

    @abstractmethod
    def decode(self, frames: Tensor) -> Decoded:
        """The motion in clips ``[b, t, 3, h, w]`` uint8, as :meth:`start` takes it."""

    @abstractmethod
    def start(self, image: Tensor) -> SteeringSession:
        """A session that plays on from a picture ``[3, h, w]`` or several ``[n, 3, h, w]`` uint8."""

    @abstractmethod
    def layers(self, images: Tensor) -> Layers:
        """Pictures ``[n, 3, h, w]`` uint8 taken apart (figure 8 of GLASS's paper)."""

    def overview(self, batch: VideoBatch) -> Mapping[str, Tensor]:
        """What the model sees in clips and makes of them, by name, each ``[b, t or t - 1, 3, h, w]`` uint8.

        What is made of a frame and the one before has ``t - 1`` of them. A model that has nothing to tell says nothing.
        """
        return {}

    @torch.inference_mode()
    def play(self, batch: VideoBatch, actions: Tensor, shifts: Tensor, background_shifts: Tensor) -> VideoSample:
        """Clips that begin with the first frames of ``batch`` and do what is asked.

        Args:
            batch: its first frames are read.
            actions: ``[b, t - 1]`` int64 in 0..K - 1.
            shifts, background_shifts: ``[b, t - 1, 2]`` pixels, right and down.
        """
        session = self.start(batch.frames[:, 0])
        frames, masks = [batch.frames[:, 0].to(self.device)], [session.mask]
        for step in range(actions.shape[1]):
            frames.append(session.advance(actions[:, step], shifts[:, step], background_shifts[:, step]))
            masks.append(session.mask)
        return VideoSample(
            fake=torch.stack(frames, dim=1),
            info=self.info.with_length(len(frames)),
            real=None,
            asked=batch,
            masks=torch.stack(masks, dim=1),
            actions=actions,
            shifts=shifts,
            background_shifts=background_shifts,
        )
