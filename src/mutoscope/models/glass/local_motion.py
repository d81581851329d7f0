"""Local motion analysis: the agent's next picture from its present one, its shift and a local action (section 3.2)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.glass.actions import ActionNetwork, Actions, ActionSettings
from mutoscope.models.glass.decoder import (
    Carried,
    CarryingDecoder,
    Decoder,
    DecoderSettings,
    Drawn,
    carry,
    with_masks,
)
from mutoscope.models.glass.dynamics import Dynamics, DynamicsSettings, DynamicsState
from mutoscope.models.glass.layers import Conv3x3, Residual, activate
from mutoscope.models.glass.view import View


@dataclass(frozen=True)
class EncoderSettings:
    """Widths of the encoder E at a half, a quarter and an eighth of the resolution, and of the state S it makes."""

    half: int = 16
    quarter: int = 32
    eighth: int = 64
    state: int = 64


class Encoder(nn.Module):
    """E: foregrounds ``[n, 3, h, w]`` -> states ``[n, S, h / 8, w / 8]`` and attention ``[n, 1, h / 8, w / 8]``."""

    def __init__(self, settings: EncoderSettings = EncoderSettings()) -> None:
        super().__init__()
        a, b, c = settings.half, settings.quarter, settings.eighth
        self.stem = Conv3x3(3, a, 2)
        self.stem_norm = nn.BatchNorm2d(a)
        self.blocks = nn.Sequential(
            Residual(a, a),
            Residual(a, b, 2),
            Residual(b, b),
            Residual(b, c, 2),
            Residual(c, c),
            Residual(c, settings.state + 1),
        )

    def forward(self, foregrounds: Tensor) -> tuple[Tensor, Tensor]:
        x = self.blocks(activate(self.stem_norm(self.stem(foregrounds))))
        return x[:, :-1], x[:, -1:]


@dataclass(frozen=True)
class LocalMotionSettings:
    """Settings of all networks of local motion analysis.

    Args:
        bn_over_time: in training, let the norms of the recurrent network see all teacher-forced steps at once, and look
            only once at what was drawn and is seen again: cheaper, with other statistics. As released, every step has
            its own. Trained models draw the same either way.
        window: ours, not the paper's: height and width of a window that follows the agent, which is all that these
            networks see and draw; see :class:`~mutoscope.models.glass.view.View`. The whole frame by default.
        recoloured: ours, not the paper's: in training, let colours of every clip change places and signs at random, so
            that an action cannot be told by who makes it.
    """

    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    actions: ActionSettings = field(default_factory=ActionSettings)
    dynamics: DynamicsSettings = field(default_factory=DynamicsSettings)
    decoder: DecoderSettings = field(default_factory=DecoderSettings)
    bn_over_time: bool = False
    window: tuple[int, int] | None = None
    recoloured: bool = False


@dataclass(frozen=True)
class Seen:
    """What local motion analysis sees of clips of ``t`` frames: the agent in whole frames, or through a window.

    Args:
        foregrounds: ``[b, t, 3, h, w]``.
        moved_foregrounds: ``[b, t - 1, 3, h, w]``, all but the last moved by their shifts; with the window, if there
            is one.
        masks: ``[b, t, 1, h, w]``, where there are any.
        corners: ``[b, t, 2]`` int64, where in the frames that is by the shifts: pixels from left and top.
    """

    foregrounds: Tensor
    moved_foregrounds: Tensor
    masks: Tensor | None
    corners: Tensor


@dataclass(frozen=True)
class LocalMotionOutput:
    """What local motion analysis makes of clips of ``t`` frames.

    Args:
        seen: what it saw.
        states: ``[b, t, S, h / 8, w / 8]`` of the foregrounds.
        actions: of the ``b (t - 1)`` transitions, clip by clip.
        drawn: foregrounds and masks of frames 1.. as far as it sees, each tensor ``[b, t - 1, ...]``.
        drawn_states: ``[b, t - 1, S, h / 8, w / 8]`` of the foregrounds drawn.
    """

    seen: Seen
    states: Tensor
    actions: Actions
    drawn: Drawn
    drawn_states: Tensor


class LocalMotion(nn.Module):
    """LMA: encoder, compressor, action network, recurrent network, decoder (figure 2, right).

    Args:
        settings: see there.
        frame_size: height and width, multiples of 16; the recurrent network's initial states are tied to it, or to the
            window's size.

    Raises:
        ValueError: for another size of frame or window.
    """

    def __init__(self, settings: LocalMotionSettings, frame_size: tuple[int, int]) -> None:
        super().__init__()
        self.view = View(frame_size, settings.window)
        for what, (height, width) in (("frames", frame_size), ("local_motion.window", self.view.size)):
            if height % 16 or width % 16 or min(height, width) < 16:
                raise ValueError(f"Sides of GLASS's {what} are multiples of 16, found {height}x{width}.")
        self.settings = settings
        state, dynamics = settings.encoder.state, settings.dynamics
        self.encoder = Encoder(settings.encoder)
        self.compress = nn.Conv2d(state, dynamics.compressed, 1)
        self.actions = ActionNetwork(settings.actions, state)
        self.dynamics = Dynamics(dynamics, settings.actions.code_size, (height // 8, width // 8))
        self.decoder = (CarryingDecoder if settings.decoder.carry else Decoder)(settings.decoder, dynamics.width)

    def forward(
        self,
        foregrounds: Tensor,
        moved_foregrounds: Tensor,
        shifts: Tensor,
        teacher_forced: int,
        temperature: float = 1.0,
        masks: Tensor | None = None,
        quantised: float = 1.0,
    ) -> LocalMotionOutput:
        """Analyse and draw clips again.

        Args:
            foregrounds: ``[b, t, 3, h, w]`` of whole frames.
            moved_foregrounds: ``[b, t - 1, 3, h, w]``, all but the last moved by their shifts.
            shifts: ``[b, t - 1, 2]`` of the foreground.
            teacher_forced: how many steps see the real foreground, 1 to ``t - 1``; later ones see what was drawn.
            temperature: of the Gumbel-softmax variant.
            masks: ``[b, t, 1, h, w]`` of the foregrounds, for a decoder that carries, or a window.
            quantised: see :class:`~mutoscope.models.glass.actions.ActionNetwork`.

        Raises:
            ValueError: for an impossible number of steps, or without masks that are needed.
        """
        b, t = foregrounds.shape[:2]
        steps = t - 1
        if not 1 <= teacher_forced <= steps:
            raise ValueError(f"teacher_forced is {teacher_forced}, expected 1 to {steps} for clips of {t} frames.")
        seen = self.see(foregrounds, moved_foregrounds, shifts, masks)
        foregrounds = seen.foregrounds
        states, actions = self.recognise(seen, temperature, quantised)
        codes = actions.code.unflatten(0, (b, steps))

        known = self.compress(states[:, :teacher_forced].flatten(0, 1)).unflatten(0, (b, teacher_forced))
        memory = self.dynamics.initial(b)
        # as released, norms have the statistics of every step in training
        together = self.settings.bn_over_time or not self.training
        if together:
            outputs, memory = self.dynamics.along(memory, known, codes[:, :teacher_forced], shifts[:, :teacher_forced])
        else:
            single = []
            for step in range(teacher_forced):
                output, memory = self.dynamics(memory, known[:, step], codes[:, step], shifts[:, step])
                single.append(output)
            outputs = torch.stack(single, dim=1)
        # what does not depend on what was drawn before is drawn at once
        agents = with_masks(foregrounds, seen.masks) if self.decoder.carries else None
        way = shifts.cumsum(dim=1)
        carried = None
        if agents is not None:
            begun = agents[:, :1].expand(-1, steps, -1, -1, -1)
            carried = self.carry(*(x[:, :teacher_forced].flatten(0, 1) for x in (begun, way, agents, shifts)))
        first = self.decoder(outputs.flatten(0, 1), carried)
        parts = [[x.unflatten(0, (b, teacher_forced)) for x in first]]
        last, last_mask = parts[0][0][:, -1], parts[0][-1][:, -1]
        seen_again = []
        for step in range(teacher_forced, steps):
            now, _ = self.encoder(last)
            seen_again.append(now)
            output, memory = self.dynamics(memory, self.compress(now), codes[:, step], shifts[:, step])
            if agents is not None:
                carried = self.carry(agents[:, 0], way[:, step], torch.cat([last, last_mask], dim=1), shifts[:, step])
            drawn = self.decoder(output, carried)
            parts.append([x[:, None] for x in drawn])
            last, last_mask = drawn.full, drawn.mask
        drawn = Drawn(*(torch.cat(scale, dim=1) for scale in zip(*parts, strict=True)))
        if together:
            # those between the first and the last that the network drew itself were looked at on the way
            unseen = [*range(teacher_forced - 1), steps - 1]
            found = self.encoder(drawn.full[:, unseen].flatten(0, 1))[0].unflatten(0, (b, len(unseen)))
            drawn_states = torch.cat([found[:, :-1], *(x[:, None] for x in seen_again), found[:, -1:]], dim=1)
        else:
            drawn_states = self.encoder(drawn.full.flatten(0, 1))[0].unflatten(0, (b, steps))
        return LocalMotionOutput(seen, states, actions, drawn, drawn_states)

    def see(self, foregrounds: Tensor, moved_foregrounds: Tensor, shifts: Tensor, masks: Tensor | None = None) -> Seen:
        """What these networks see of clips; see :meth:`forward`.

        Raises:
            ValueError: without masks, where a window follows them.
        """
        if self.training and self.settings.recoloured:
            mixed = _colours(len(foregrounds), foregrounds)
            foregrounds, moved_foregrounds = (
                torch.einsum("bij,btjhw->btihw", mixed, x) for x in (foregrounds, moved_foregrounds)
            )
        ways = torch.cat([torch.zeros_like(shifts[:, :1]), shifts.cumsum(dim=1)], dim=1)
        if self.view.whole:
            return Seen(foregrounds, moved_foregrounds, masks, self.view.corners(ways[:, 0], ways))
        if masks is None:
            raise ValueError("A window follows the agent by the mask of its first frame, and there are no masks.")
        corners = self.view.corners(self.view.centres(masks[:, 0]), ways)
        agents = torch.cat([foregrounds, masks], dim=2)
        seen = self.view.cut(agents, self.view.settled(agents, corners))
        # moved by whole pixels, as the window is: a foreground between pixels is blurred, which is no local action
        return Seen(seen[:, :, :3], seen[:, :-1, :3], seen[:, :, 3:], corners)

    def whole(self, found: LocalMotionOutput) -> tuple[Tensor, Tensor]:
        """What was drawn of frames 1.. as whole frames: foregrounds ``[b, t - 1, 3, h, w]`` and their masks."""
        corners = found.seen.corners[:, 1:]
        return self.view.paste(found.drawn.full, corners), self.view.paste(found.drawn.mask, corners)

    def carry(self, first: Tensor, way: Tensor, last: Tensor, shift: Tensor) -> Carried:
        """See :func:`~mutoscope.models.glass.decoder.carry`; in a window, which goes along, the agent stands still."""
        return carry(first, way, last, shift) if self.view.whole else Carried(first, last)

    def recognise(self, seen: Seen, temperature: float = 1.0, quantised: float = 1.0) -> tuple[Tensor, Actions]:
        """States ``[b, t, S, h / 8, w / 8]`` of foregrounds, and the actions between them; see :meth:`forward`."""
        foregrounds = seen.foregrounds
        states, attention = (x.unflatten(0, foregrounds.shape[:2]) for x in self.encoder(foregrounds.flatten(0, 1)))
        attended = (states * attention)[:, 1:].flatten(0, 1)
        moved_states, moved_attention = self.encoder(seen.moved_foregrounds.flatten(0, 1))
        return states, self.actions(moved_states * moved_attention, attended, temperature, quantised)

    def step(
        self, memory: DynamicsState, foreground: Tensor, code: Tensor, shift: Tensor, carried: Carried | None = None
    ) -> tuple[Tensor, Tensor, DynamicsState]:
        """The next foreground ``[n, 3, h, w]``, its mask, and what is to be remembered.

        Args:
            memory: of the step before.
            foreground: ``[n, 3, h, w]`` as it is seen now: the real one at first, then what the step before drew.
            code: ``[n, d]``.
            shift: ``[n, 2]`` in half extents.
            carried: for a decoder that carries.
        """
        state, _ = self.encoder(foreground)
        output, memory = self.dynamics(memory, self.compress(state), code, shift)
        return *self.decoder.at_full_scale(output, carried), memory


def _colours(count: int, like: Tensor) -> Tensor:
    """``[n, 3, 3]``: which colour takes the place of which, at random, with which sign."""
    order = torch.rand(count, 3, device=like.device).argsort(dim=1)
    signs = 2 * torch.randint(2, (count, 3, 1), device=like.device) - 1
    return F.one_hot(order, 3).to(like.dtype) * signs
