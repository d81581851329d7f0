"""What a trained GLASS finds and draws: motion, layers, clips again, what somebody tells it (spec sections 8, 9)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mutoscope.models.glass.global_motion import patch
from mutoscope.models.glass.network import GlassNetwork
from mutoscope.models.glass.session import Session, on_black, to_bytes, to_pixels, to_unit
from mutoscope.models.steerable import Decoded, Layers, SteerableVideo, Unroll
from mutoscope.structures import VideoBatch, VideoSample

#: steps that are decoded at once: more take more memory than they save time
_DECODED = 16


class Drawing(SteerableVideo):
    """Everything that :class:`~mutoscope.models.glass.module.Glass` does but train."""

    network: GlassNetwork

    @property
    def local_actions(self) -> int:
        return self.network.settings.local_motion.actions.codes

    @property
    def shown(self) -> GlassNetwork:
        """The network to generate with: the average where one is kept."""
        network = self.averaged
        assert isinstance(network, GlassNetwork)
        return network

    @torch.inference_mode()
    def generate(self, batch: VideoBatch, *, unroll: Unroll = "autoregressive", seed: int = 0) -> VideoSample:
        """Clips again, from their first frames and the motion that is found in them (spec section 9).

        Args:
            batch: real clips.
            unroll: ``teacher_forced`` shows the recurrent network the real foreground at every step, as the paper's
                tables do; ``autoregressive`` the first one only.
            seed: not needed, nothing is drawn at random.
        """
        frames = to_unit(batch.frames.to(self.device))
        steps = frames.shape[1] - 1
        with self.sampling() as network:
            found, drawn = network(frames, steps if unroll == "teacher_forced" else 1)
        size = (frames.shape[-2], frames.shape[-1])
        return VideoSample(
            fake=torch.cat([batch.frames[:, :1].to(self.device), to_bytes(self.shown.generated(found, drawn))], dim=1),
            info=self.info.with_length(frames.shape[1]),
            real=batch.frames.to(self.device),
            asked=batch,
            masks=found.masks,
            actions=drawn.actions.index.unflatten(0, (len(frames), steps)),
            shifts=to_pixels(found.foreground_shifts, size),
            background_shifts=to_pixels(found.background_shifts, size),
        )

    @torch.inference_mode()
    def decode(self, frames: Tensor) -> Decoded:
        """The motion in clips ``[b, t, 3, h, w]`` uint8, as :meth:`start` takes it; long ones a part at a time.

        Raises:
            ValueError: for clips of a single frame.
        """
        if frames.shape[1] < 2:
            raise ValueError("A clip of one frame has no motion; give two frames at least.")
        parts = [self._decode(frames[:, at : at + _DECODED + 1]) for at in range(0, frames.shape[1] - 1, _DECODED)]
        # every part begins with the last frame of the one before
        masks = [part.masks if number == 0 else part.masks[:, 1:] for number, part in enumerate(parts)]
        steps = ("shifts", "background_shifts", "actions", "confidence")
        return Decoded(
            masks=torch.cat(masks, dim=1),
            **{name: torch.cat([getattr(part, name) for part in parts], dim=1) for name in steps},
        )

    def _decode(self, frames: Tensor) -> Decoded:
        with self.sampling():
            found = self.shown.global_motion(to_unit(frames.to(self.device)))
            local = self.shown.local_motion
            shifts = found.foreground_shifts
            _, actions = local.recognise(local.see(found.foregrounds, found.moved_foregrounds, shifts, found.masks))
        size, shape = (frames.shape[-2], frames.shape[-1]), (frames.shape[0], frames.shape[1] - 1)
        return Decoded(
            shifts=to_pixels(found.foreground_shifts, size),
            background_shifts=to_pixels(found.background_shifts, size),
            actions=actions.index.unflatten(0, shape),
            confidence=actions.confidence.unflatten(0, shape),
            masks=found.masks,
        )

    def start(self, image: Tensor) -> Session:
        return Session(self.shown, image.to(self.device))

    @torch.inference_mode()
    def layers(self, images: Tensor) -> Layers:
        frames = to_unit(images.to(self.device))[:, None]
        with self.sampling():
            masks = self.shown.global_motion.masks_of(frames)
            backgrounds = self.shown.global_motion.backgrounds_of(frames, masks)
        return Layers(masks[:, 0], on_black(frames, masks)[:, 0], to_bytes(backgrounds)[:, 0])

    @torch.inference_mode()
    def overview(self, batch: VideoBatch) -> Mapping[str, Tensor]:
        frames = to_unit(batch.frames.to(self.device))
        with self.sampling() as network:
            found, drawn = network(frames, 1)
            foregrounds, drawn_masks = self.shown.local_motion.whole(drawn)
        masks = found.masks
        pictures = {
            "frame": frames,
            "mask": (2 * masks - 1).expand_as(frames),
            "foreground": found.foregrounds,
            "without it": patch(frames, masks),
            "background": found.backgrounds,
            "foreground, moved": found.moved_foregrounds,
            "background, moved": found.moved_backgrounds,
            "both, moved": found.composed,
            "foreground, drawn": foregrounds,
            "mask, drawn": (2 * drawn_masks - 1).expand_as(foregrounds),
            "frame, drawn": self.shown.generated(found, drawn),
        }
        return {name: to_bytes(picture) for name, picture in pictures.items()}
