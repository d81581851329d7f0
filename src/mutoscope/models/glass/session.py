"""Playing: one picture, then frame after frame as somebody steers (paper section 4.3; spec section 8)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mutoscope.models.glass.dynamics import DynamicsState
from mutoscope.models.glass.global_motion import compose, translate
from mutoscope.models.glass.network import GlassNetwork


def to_unit(frames: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return frames.to(torch.float32) / 127.5 - 1


def to_bytes(frames: Tensor) -> Tensor:
    """[-1, 1] -> uint8, clamped and rounded: inpainted backgrounds may lie outside."""
    return ((frames.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def on_black(foregrounds: Tensor, masks: Tensor) -> Tensor:
    """Foregrounds ``[..., 3, h, w]`` in [-1, 1] on black, uint8: what the mask leaves out is grey to the networks."""
    return to_bytes(masks * (foregrounds + 1) - 1)


def to_pixels(shifts: Tensor, size: tuple[int, int]) -> Tensor:
    """Half extents ``[..., 2]`` -> pixels, right and down, of frames of (height, width)."""
    return shifts * shifts.new_tensor([size[1] / 2, size[0] / 2])


def from_pixels(shifts: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels ``[..., 2]``, right and down -> half extents of frames of (height, width)."""
    shifts = shifts.float()
    return shifts * shifts.new_tensor([2 / size[1], 2 / size[0]])


@dataclass(frozen=True)
class Moment:
    """Everything a session goes on from; tensors are never changed in place, so that moments can be kept.

    Args:
        memory: of the recurrent network.
        centre: ``[n, 2]`` pixels, where the agent was at first.
        first: ``[n, 4, h, w]`` foreground and mask of the picture it began with, as local motion analysis sees them.
        foreground: ``[n, 3, h, w]`` the real one at first, then what was drawn, as it is seen.
        mask: ``[n, 1, h, w]``, as it is seen.
        background: ``[n, 3, h, w]`` what lies behind the agent in the picture it began with.
        way, pan: ``[n, 2]`` sums of all shifts of agent and background so far, half extents.
        frame: ``[n, 3, h, w]`` uint8.
    """

    memory: DynamicsState
    centre: Tensor
    first: Tensor
    foreground: Tensor
    mask: Tensor
    background: Tensor
    way: Tensor
    pan: Tensor
    frame: Tensor


class Session:
    """Steers one picture, or several side by side; many sessions may share a model.

    Args:
        network: in evaluation mode from here on.
        image: ``[3, h, w]`` or ``[n, 3, h, w]`` uint8 of the model's frame size.

    Raises:
        ValueError: for a picture of another size or type.
    """

    @torch.inference_mode()
    def __init__(self, network: GlassNetwork, image: Tensor) -> None:
        self.single = image.ndim == 3
        images = image[None] if self.single else image
        height, width = network.frame_size
        if images.dtype != torch.uint8 or images.shape[1:] != (3, height, width):
            raise ValueError(
                f"The picture is {image.dtype} of shape {list(image.shape)}, expected uint8 of [3, {height}, {width}] "
                f"or [n, 3, {height}, {width}]; resize it to the frames the model was trained on."
            )
        self.network = network.eval()
        frames = to_unit(images)[:, None]
        masks = network.global_motion.masks_of(frames)
        background = network.global_motion.backgrounds_of(frames, masks)[:, 0]
        memory = network.local_motion.dynamics.initial(len(images))
        still = torch.zeros(len(images), 2, device=images.device)
        view = network.local_motion.view
        centre = view.centres(masks[:, 0])
        first = view.cut(torch.cat([masks * frames, masks], dim=2), view.corners(centre, still[:, None]))[:, 0]
        self._now = Moment(memory, centre, first, first[:, :3], first[:, 3:], background, still, still, images)
        self._past: list[Moment] = []

    @property
    def actions(self) -> int:
        """How many local actions there are."""
        return len(self.network.local_motion.actions.codes)

    @property
    def frame(self) -> Tensor:
        """What is shown now, uint8, shaped as the picture was."""
        return self._now.frame[0] if self.single else self._now.frame

    @property
    def mask(self) -> Tensor:
        """``[n, 1, h, w]`` where the agent is now."""
        return self._placed(self._now.mask, self._now)

    @property
    def background(self) -> Tensor:
        """``[n, 3, h, w]`` what lies behind the agent in the picture."""
        return self._now.background

    @property
    def agent(self) -> Tensor:
        """``[n, 3, h, w]`` uint8 the agent now, on black."""
        return on_black(self._placed(self._now.foreground, self._now), self.mask)

    def step(self, dx: float, dy: float, action: int, camera: tuple[float, float] = (0.0, 0.0)) -> Tensor:
        """The next frame, uint8, shaped as the picture was.

        Args:
            dx, dy: pixels by which the agent moves, right and down.
            action: its local action, 0..K - 1.
            camera: pixels by which the background moves, right and down.

        Raises:
            ValueError: for an action that does not exist, or shifts that are no numbers.
        """
        if len(camera) != 2:
            raise ValueError(f"The camera's shift is {camera}, expected pixels right and down.")
        if action % 1:
            raise ValueError(f"There is no local action {action}; the model has 0 to {self.actions - 1}.")
        numbers = torch.tensor([[dx, dy], list(camera)], dtype=torch.float32)
        if not bool(numbers.isfinite().all()):
            raise ValueError(f"The shifts are {dx}, {dy} and {camera}, expected finite numbers of pixels.")
        n, device = len(self._now.frame), self._now.frame.device
        actions = torch.full((n,), int(action), device=device)
        frame = self.advance(actions, numbers[:1].expand(n, -1).to(device), numbers[1:].expand(n, -1).to(device))
        return frame[0] if self.single else frame

    @torch.inference_mode()
    def advance(self, actions: Tensor, shifts: Tensor, camera: Tensor) -> Tensor:
        """The next frames ``[n, 3, h, w]`` uint8 of all pictures, each as it is told.

        Args:
            actions: ``[n]`` int64 in 0..K - 1.
            shifts, camera: ``[n, 2]`` pixels, right and down, of agent and background.

        Raises:
            ValueError: for an action that does not exist.
        """
        if bool(((actions < 0) | (actions >= self.actions)).any()):
            raise ValueError(f"There is no local action {actions.tolist()}; the model has 0 to {self.actions - 1}.")
        now, size = self._now, self.network.frame_size
        local = self.network.local_motion
        code = local.actions.codes[actions]
        shift = from_pixels(shifts, size)
        way = now.way + shift
        carried = None
        if local.decoder.carries:
            carried = local.carry(now.first, way, torch.cat([now.foreground, now.mask], dim=1), shift)
        foreground, mask, memory = local.step(now.memory, now.foreground, code, shift, carried)
        pan = now.pan + from_pixels(camera, size)
        behind = translate(now.background, pan, outside="border", interpolation="nearest")
        then = replace(now, memory=memory, foreground=foreground, mask=mask, way=way, pan=pan)
        frame = to_bytes(compose(self._placed(foreground, then), self._placed(mask, then), behind))
        self._past.append(now)
        self._now = replace(then, frame=frame)
        return frame

    def _placed(self, picture: Tensor, moment: Moment) -> Tensor:
        """What local motion analysis sees at a moment, ``[n, c, ...]``, as part of a whole frame."""
        view = self.network.local_motion.view
        return view.paste(picture[:, None], view.corners(moment.centre, moment.way[:, None]))[:, 0]

    def undo(self, steps: int = 1) -> Tensor:
        """Back to an earlier frame, which is returned.

        Raises:
            ValueError: if there were fewer steps.
        """
        if not 1 <= steps <= len(self._past):
            raise ValueError(f"{steps} steps are to be undone, but {len(self._past)} were made.")
        self._now = self._past[-steps]
        del self._past[-steps:]
        return self.frame

    def save(self) -> Moment:
        """The present moment, to come back to with :meth:`restore`, in this session or another of the same model."""
        return replace(self._now)

    def restore(self, moment: Moment) -> Tensor:
        """Go on from a moment that was saved; its frame is returned. What was done since can be undone.

        Raises:
            ValueError: for a moment of another number of pictures, or of other sizes.
        """
        if moment.frame.shape != self._now.frame.shape:
            raise ValueError(
                f"The moment is of frames {list(moment.frame.shape)}, expected {list(self._now.frame.shape)} as in "
                "this session."
            )
        self._past.append(self._now)
        self._now = moment
        return self.frame
