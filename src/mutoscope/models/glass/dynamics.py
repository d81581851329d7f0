"""The recurrent network R: one step of the agent's state, told its shift and local action (paper section 3.2)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from mutoscope.models.glass.layers import ConvLSTM, Modulated, Same, Up

#: how shift and action reach the recurrent network: each its own blocks as released, both all blocks, or all of them
#: concatenated instead of modulating kernels (Table 3)
Conditioning = Literal["modulated", "joint", "concatenated"]


@dataclass(frozen=True)
class DynamicsSettings:
    """The recurrent network R.

    Args:
        compressed: channels s of the state that enters, and of the embeddings of shift and action.
        width: channels c.
        noise: channels of noise z, zero as released; kept so that checkpoints fit.
        conditioning: see :data:`Conditioning`.
    """

    compressed: int = 8
    width: int = 32
    noise: int = 0
    conditioning: Conditioning = "modulated"


#: hidden and cell state of the three LSTMs
DynamicsState = tuple[tuple[Tensor, Tensor], ...]


class Dynamics(nn.Module):
    """R: one step of the agent's state. All that it remembers goes in and comes out, nothing is kept inside.

    Args:
        settings: see there.
        code_size: d of an action's code.
        size: height and width of the states, even.
    """

    def __init__(self, settings: DynamicsSettings, code_size: int, size: tuple[int, int]) -> None:
        super().__init__()
        s, c, z = settings.compressed, settings.width, settings.noise
        self.settings = settings
        half = (size[0] // 2, size[1] // 2)
        told = 2 * s if settings.conditioning == "joint" else s
        self.embed_action = nn.Linear(code_size, s)
        self.embed_shift = nn.Linear(2, s)
        self.lstms = nn.ModuleList(
            [
                ConvLSTM(s + told + z, c, size),
                ConvLSTM(2 * c + told + z, 2 * c, half),
                ConvLSTM(c + told + z, c, size),
            ]
        )
        self.lstm_norms = nn.ModuleList([nn.BatchNorm2d(c), nn.BatchNorm2d(2 * c), nn.BatchNorm2d(c)])
        self.down: nn.Module
        self.out: nn.Module
        if settings.conditioning == "concatenated":
            self.down, self.out = Same(c + s + z, 2 * c, 2), Same(c + s + z, c)
        else:
            self.down, self.out = Modulated(c + z, 2 * c, told, 2), Modulated(c + z, c, told)
        self.up = Up(2 * c + told + z, c, late=True)

    def initial(self, n: int) -> DynamicsState:
        """What is remembered at the start of ``n`` sequences."""
        return tuple(lstm.initial(n) for lstm in self.lstms if isinstance(lstm, ConvLSTM))

    def forward(self, state: DynamicsState, x: Tensor, code: Tensor, shift: Tensor) -> tuple[Tensor, DynamicsState]:
        """One step.

        Args:
            state: of the step before, or :meth:`initial`.
            x: ``[n, s, h, w]`` compressed state of the foreground now.
            code: ``[n, d]`` of the local action.
            shift: ``[n, 2]`` in half extents.

        Returns:
            ``[n, c, h, w]`` for the decoder, and what is to be remembered.
        """
        found, state = self.along(state, x[:, None], code[:, None], shift[:, None])
        return found[:, 0], state

    def along(self, state: DynamicsState, x: Tensor, code: Tensor, shift: Tensor) -> tuple[Tensor, DynamicsState]:
        """Several steps whose foregrounds are all known, layer by layer: only the LSTMs go through time.

        In evaluation that is the same as step by step. In training, norms see all steps at once (``bn_over_time``).

        Args:
            state: see :meth:`forward`.
            x, code, shift: the same with time behind the samples, ``[n, t, ...]``.

        Returns:
            ``[n, t, c, h, w]`` for the decoder, and what is to be remembered.
        """
        n, t = x.shape[:2]
        x, code, shift = x.flatten(0, 1), code.flatten(0, 1), shift.flatten(0, 1)
        action, push = self.embed_action(code.to(x.dtype)), self.embed_shift(shift.to(x.dtype))
        if self.settings.conditioning == "joint":
            action = push = torch.cat([action, push], dim=1)
        remembered = []

        def through_time(number: int, y: Tensor) -> Tensor:
            lstm = self.lstms[number]
            assert isinstance(lstm, ConvLSTM)
            hidden, last = lstm.along(y.unflatten(0, (n, t)), state[number])
            remembered.append(last)
            return hidden.flatten(0, 1)

        y = self.lstm_norms[0](through_time(0, self._beside(x, push)))
        y = self._condition(self.down, y, push)
        y = self.lstm_norms[1](through_time(1, self._beside(y, action)))
        y = self.up(self._beside(y, action))
        y = self.lstm_norms[2](through_time(2, self._beside(y, action)))
        y = self._condition(self.out, y, action)
        return y.unflatten(0, (n, t)), tuple(remembered)

    def _condition(self, block: nn.Module, x: Tensor, condition: Tensor) -> Tensor:
        if isinstance(block, Modulated):
            return block(self._beside(x), condition)
        return block(self._beside(x, condition))

    def _beside(self, x: Tensor, *vectors: Tensor) -> Tensor:
        """``x`` with vectors spread over all places, and the noise."""
        n, _, height, width = x.shape
        planes = [vector[:, :, None, None].expand(-1, -1, height, width) for vector in vectors]
        if self.settings.noise:
            planes.append(x.new_zeros(n, self.settings.noise, height, width))
        return torch.cat([x, *planes], dim=1) if planes else x
