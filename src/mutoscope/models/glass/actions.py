"""The action network: which of K local actions happens between two frames (paper section 3.2; spec section 4, A)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.glass.layers import Residual, activate, precise

#: how directions in feature space become one of K actions
Quantiser = Literal["vq", "gumbel"]
#: how two frames become a direction: by the chain of bilinear maps, or as their plain difference
Directions = Literal["bilinear", "plain"]
#: weight of the term that moves the codes; the one that moves the features has weight 1
CODEBOOK_WEIGHT = 0.25
#: of directions that are told as they are, in training: else each dimension soon says many things
DIRECTION_NOISE = 0.3


@dataclass(frozen=True)
class ActionSettings:
    """The action network A.

    Args:
        codes: number K of local actions.
        code_size: d.
        quantiser: the paper's vector quantisation, or Gumbel-softmax (Table 3).
        directions: the paper's bilinear chain, or plain differences (Table 3).
        normalised: ours, not the paper's: directions have mean 0 and variance 1 in every dimension before they are
            quantised, and so do codes at the start, so that neither can shrink until all actions are one. Of the vector
            quantiser only.
    """

    codes: int = 6
    code_size: int = 16
    quantiser: Quantiser = "vq"
    directions: Directions = "bilinear"
    normalised: bool = False


@dataclass(frozen=True)
class Actions:
    """Local actions of ``n`` transitions.

    Args:
        code: ``[n, d]`` what the recurrent network is told.
        index: ``[n]`` int64 which action it is.
        confidence: ``[n, k]`` how near each action is, summing to 1.
        loss: scalar of the quantiser, 0 for Gumbel-softmax.
        direction: ``[n, s]`` in feature space.
        projected: ``[n, d]`` the direction as the quantiser sees it (``[n, k]`` logits for Gumbel-softmax).
    """

    code: Tensor
    index: Tensor
    confidence: Tensor
    loss: Tensor
    direction: Tensor
    projected: Tensor


class VectorQuantiser(nn.Module):
    """The nearest of K codes, gradients passed straight through (van den Oord et al. 2017, weights as in the spec)."""

    def __init__(self, codes: int, size: int) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.empty(codes, size).uniform_(-1 / codes, 1 / codes))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``x: [n, d] -> code [n, d], index [n], squared distances [n, k], loss``; float32."""
        with torch.autocast(x.device.type, enabled=False):
            x = precise(x)
            distance = (x[:, None] - self.codes).square().sum(2)
            index = distance.argmin(1)
            code = self.codes[index]
            loss = F.mse_loss(x, code.detach()) + CODEBOOK_WEIGHT * F.mse_loss(code, x.detach())
            return x + (code - x).detach(), index, distance.detach(), loss


class Bilinear(nn.Module):
    """``u, v -> u' W v + b`` with a linear map of ``u`` before: ``[n, s], [n, i] -> [n, o]``."""

    def __init__(self, size: int, c_in: int, c_out: int) -> None:
        super().__init__()
        self.affine = nn.Linear(size, size)
        self.bilinear = nn.Bilinear(size, c_in, c_out)

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        # one product of matrices; torch's own function takes one per output
        pairs = (self.affine(u)[:, :, None] * v[:, None]).flatten(1)
        return F.linear(pairs, self.bilinear.weight.flatten(1), self.bilinear.bias)


class ActionNetwork(nn.Module):
    """A: from features of the moved foreground and of the next one to a local action.

    Args:
        settings: see there.
        size: channels S of the features.
    """

    def __init__(self, settings: ActionSettings = ActionSettings(), size: int = 64) -> None:
        super().__init__()
        self.settings = settings
        self.features = nn.Sequential(Residual(size, 2 * size, 2), Residual(2 * size, size))
        self.chain: nn.ModuleList | None = None
        self.chain_norms: nn.ModuleList | None = None
        if settings.directions == "bilinear":
            sizes = (size, 2 * size, 2 * size, 2 * size, size)
            self.chain = nn.ModuleList(Bilinear(size, sizes[i], sizes[i + 1]) for i in range(4))
            self.chain_norms = nn.ModuleList(nn.BatchNorm1d(2 * size) for _ in range(3))
        self.project: nn.Module
        if settings.quantiser == "vq":
            self.project = nn.Sequential(
                nn.Linear(size, 2 * size),
                nn.BatchNorm1d(2 * size),
                nn.LeakyReLU(0.2),
                nn.Linear(2 * size, size),
                nn.BatchNorm1d(size),
                nn.LeakyReLU(0.2),
                nn.Linear(size, settings.code_size),
            )
        else:
            self.project = nn.Linear(size, settings.codes)
        self.quantiser = VectorQuantiser(settings.codes, settings.code_size)
        self.norm = nn.BatchNorm1d(settings.code_size, affine=False) if settings.normalised else None
        if settings.normalised:
            nn.init.normal_(self.quantiser.codes)

    @property
    def codes(self) -> Tensor:
        """``[k, d]``: what each local action is called by."""
        return self.quantiser.codes

    def summarise(self, features: Tensor) -> Tensor:
        """Features ``[n, S, h, w]``, attention applied, as one vector ``[n, S]``."""
        return self.features(features).mean((2, 3))

    def direction(self, before: Tensor, after: Tensor) -> Tensor:
        """``[n, S]`` from the moved frame to the next one."""
        if self.chain is None or self.chain_norms is None:
            return after - before
        x = after
        for bilinear, norm in zip(self.chain, (*self.chain_norms, None), strict=True):
            x = bilinear(before, x)
            if norm is not None:
                x = activate(norm(x))
        return x - before

    def forward(self, before: Tensor, after: Tensor, temperature: float = 1.0, quantised: float = 1.0) -> Actions:
        """The actions between two sets of features.

        Args:
            before: ``[n, S, h, w]`` of foregrounds moved by their shifts, attention applied.
            after: the same of the foregrounds that follow.
            temperature: of Gumbel-softmax.
            quantised: ours, not the paper's: how much of what is told is the nearest code, from 0 to 1; the rest is the
                direction itself, with noise. Of the vector quantiser in training only: what a direction says must be
                of use before its nearest code can be.
        """
        # two calls: each has batch statistics of its own
        direction = self.direction(self.summarise(before), self.summarise(after))
        projected = self.project(direction)
        if self.settings.quantiser == "vq":
            if self.norm is not None:
                projected = self.norm(precise(projected))
            code, index, distance, loss = self.quantiser(projected)
            if self.training and quantised < 1:
                direct = projected + DIRECTION_NOISE * torch.randn_like(projected)
                code = torch.lerp(direct, code, quantised)
            return Actions(code, index, (-distance).softmax(1), loss, direction, projected)
        scores = precise(projected).log_softmax(1)
        index = scores.argmax(1)
        if self.training:
            shares = F.gumbel_softmax(scores, tau=temperature)
        else:
            shares = F.one_hot(index, self.settings.codes).to(scores.dtype)
        return Actions(shares @ self.codes, index, scores.exp().detach(), scores.new_zeros(()), direction, projected)
