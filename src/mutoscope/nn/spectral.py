"""Convolutions whose largest singular value is one (Miyato et al., ICLR 2018), and recomputation that respects them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F
from torch.nn.utils.parametrize import ParametrizationList, register_parametrization
from torch.utils.checkpoint import checkpoint

from mutoscope.nn.convolution import conv2d

T = TypeVar("T")

_SEARCHED: ContextVar[bool] = ContextVar("searched", default=True)


@contextmanager
def unsearched_vectors() -> Iterator[None]:
    """Build networks whose weights a file brings: singular vectors stay as drawn instead of being searched for."""
    token = _SEARCHED.set(False)
    try:
        yield
    finally:
        _SEARCHED.reset(token)


class _Division(torch.autograd.Function):
    """``w / (u . w v)``, whose gradient ``(g - <g, w / s> u v) / s`` is formed in two passes over the kernel.

    Left to automatic differentiation it takes eight, which shows where kernels are larger than what they convolve.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, weight: Tensor, u: Tensor, v: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(weight, u, v, scale)
        return weight / scale

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        weight, u, v, scale = ctx.saved_tensors  # type: ignore[attr-defined]
        share = torch.dot(gradient.flatten(), weight.flatten()) / scale**2
        found = (gradient.flatten(1) / scale).addr_(u * -share, v)
        return found.view(weight.shape), None, None, None


class _Apart(torch.autograd.Function):
    """``(w, u . w v)``: kernel and spectral norm, whose gradient ``g_w + g_s u v`` is formed in one pass."""

    @staticmethod
    def forward(ctx: FunctionCtx, weight: Tensor, u: Tensor, v: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(u, v)
        return weight.view_as(weight), scale.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, of_weight: Tensor, of_scale: Tensor) -> tuple[Tensor, None, None, None]:
        u, v = ctx.saved_tensors  # type: ignore[attr-defined]
        return of_weight.flatten(1).addr(u * of_scale, v).view(of_weight.shape), None, None, None


class SpectralNorm(nn.Module):
    """Parametrisation of a kernel; one power iteration per use while training, none otherwise.

    Same arithmetic and same names of buffers as torch's own, but a cheaper gradient, which cannot be differentiated
    again.

    Args:
        weight: the kernel, output channels first.
    """

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("_u", F.normalize(torch.randn_like(matrix[:, 0]), dim=0))
        self.register_buffer("_v", F.normalize(torch.randn_like(matrix[0]), dim=0))
        for _ in range(15 if _SEARCHED.get() else 0):
            self._iterate(matrix)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor) -> Tensor:
        """One power iteration; the spectral norm ``u . w v`` it finds, which is the length of ``w^T u``."""
        self._u.copy_(F.normalize(torch.mv(matrix, self._v), dim=0))
        product = torch.mv(matrix.T, self._u)
        self._v.copy_(F.normalize(product, dim=0))
        return product.norm()

    @torch.no_grad()
    def _measure(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``u``, ``v`` and the spectral norm, after an iteration while training."""
        matrix = weight.detach().flatten(1)
        scale = self._iterate(matrix) if self.training else torch.dot(self._u, torch.mv(matrix, self._v))
        # later iterations must not change what the backward pass of this one reads
        return self._u.clone(), self._v.clone(), scale

    def forward(self, weight: Tensor) -> Tensor:
        """The kernel divided by its spectral norm."""
        divided: Tensor = _Division.apply(weight, *self._measure(weight))
        return divided

    def apart(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The kernel as it is and its spectral norm, for a division elsewhere."""
        kernel, scale = _Apart.apply(weight, *self._measure(weight))
        return kernel, scale


class SpectralConv2d(nn.Conv2d):
    """A convolution divided by its kernel's spectral norm; one power iteration per use while training.

    The smaller one of kernel and input is divided, which gives the same numbers: the divided kernels of a generator's
    coarsest scales would take as much memory again as the kernels. Kernels are divided in the parameter's own
    precision, under autocast too. Zeros are padded.
    """

    def __init__(
        self, c_in: int, c_out: int, kernel_size: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__(c_in, c_out, kernel_size, stride, padding, bias=bias)
        self.fixed: Tensor | None = None
        self.pace, self.margin = stride, padding
        register_parametrization(self, "weight", SpectralNorm(self.weight))

    def normalised(self) -> Tensor:
        """The kernel to convolve with: the fixed one within :class:`fixed_weights`, a fresh one elsewhere."""
        if self.fixed is not None:
            return self.fixed
        with torch.autocast(self.original.device.type, enabled=False):
            return self.weight

    @property
    def original(self) -> Tensor:
        """The parameter: the kernel before its division."""
        kernel = self._kernel
        assert isinstance(kernel.original, Tensor)
        return kernel.original

    @property
    def _kernel(self) -> ParametrizationList:
        assert isinstance(self.parametrizations, nn.ModuleDict)
        kernel = self.parametrizations["weight"]
        assert isinstance(kernel, ParametrizationList)
        return kernel

    def forward(self, x: Tensor) -> Tensor:
        """``[n, c_in, h, w]`` -> ``[n, c_out, h', w']``."""
        if self.fixed is None and self.original.numel() > x.numel():
            norm = self._kernel[0]
            assert isinstance(norm, SpectralNorm)
            with torch.autocast(x.device.type, enabled=False):
                kernel, scale = norm.apart(self.original)
            x = x / scale
        else:
            kernel = self.normalised()
        return conv2d(x, kernel, self.bias, self.pace, self.margin)


def spectral_weights(module: nn.Module) -> dict[SpectralConv2d, Tensor]:
    """Normalised kernels of all spectral convolutions in a module, after one power iteration each while training."""
    return {conv: conv.normalised() for conv in module.modules() if isinstance(conv, SpectralConv2d)}


class fixed_weights:  # noqa: N801 - used like a function, as torch.no_grad
    """Context in which convolutions use the given kernels, so that several passes share one normalisation.

    Args:
        weights: of :func:`spectral_weights`.
    """

    def __init__(self, weights: Mapping[SpectralConv2d, Tensor]) -> None:
        self.weights = weights
        self.before: list[dict[SpectralConv2d, Tensor | None]] = []

    def __enter__(self) -> None:
        self.before.append({conv: conv.fixed for conv in self.weights})
        for conv, weight in self.weights.items():
            conv.fixed = weight

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for conv, before in self.before.pop().items():
            conv.fixed = before


class _SecondPass(fixed_weights):
    """Besides, batch norms of ``module`` normalise as they would, but leave their running statistics alone."""

    def __init__(self, weights: Mapping[SpectralConv2d, Tensor], module: nn.Module) -> None:
        super().__init__(weights)
        self.norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d | nn.SyncBatchNorm)]
        self.settings: list[list[tuple[float | None, Tensor | None]]] = []

    def __enter__(self) -> None:
        super().__enter__()
        self.settings.append([(norm.momentum, norm.num_batches_tracked) for norm in self.norms])
        for norm in self.norms:
            norm.momentum, norm.num_batches_tracked = 0.0, None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        for norm, (momentum, count) in zip(self.norms, self.settings.pop(), strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def recompute(module: nn.Module, function: Callable[..., T], *inputs: Tensor) -> T:
    """Call ``function``, keeping none of its activations: they are computed again in the backward pass.

    The second pass sees the same normalised kernels and does not count in running statistics, so that gradients and
    buffers are those of a plain call.

    Args:
        module: everything with state that the function uses.
        function: of tensors, without random numbers.
        inputs: its arguments.
    """
    weights = spectral_weights(module)

    def contexts() -> tuple[fixed_weights, fixed_weights]:
        return fixed_weights(weights), _SecondPass(weights, module)

    result: T = checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
    return result
