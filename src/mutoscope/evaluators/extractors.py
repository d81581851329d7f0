"""Published networks as metrics use them: frames as they are in, features out; each is read and looked through once."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from weakref import WeakValueDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.weak import WeakTensorKeyDictionary

from mutoscope.evaluators import i3d, inception_v3, videomae
from mutoscope.evaluators.frozen_i3d import FrozenI3D
from mutoscope.evaluators.i3d import I3D, from_torchscript
from mutoscope.evaluators.inception_v3 import InceptionV3, resize_as_tensorflow1
from mutoscope.evaluators.smoke import drawn_weights, smoke_digest
from mutoscope.evaluators.videomae import VideoMAE
from mutoscope.formats.archives import read_archive
from mutoscope.formats.state_dicts import named_tensors, read_plain
from mutoscope.formats.weights import SMOKE, find_weights
from mutoscope.metrics.common import TooFewSamplesError, check_frames
from mutoscope.metrics.protocol import state_hash

Resize = Literal["tensorflow1", "bilinear"]
I3DWeights = Literal["i3d_torchscript", "i3d_tats", "i3d_rgb_imagenet"]

#: frames and clips that go through a network at once
_FRAMES, _CLIPS = 32, 4
#: samples whose features are remembered, some 100 MB of Inception's
_REMEMBERED = 2**13


@dataclass(frozen=True)
class View:
    """How an extractor looks at clips; part of the protocol of every number it gives.

    Args:
        resize: rule, and width and height of what the network sees.
        scale: of its input, from uint8.
        frames: of a clip that are looked at; ``None`` for all.
        stride: from one to the next.
    """

    resize: str
    scale: str
    frames: int | None = None
    stride: int = 1

    def of(self, frames: Tensor) -> Tensor:
        """Those frames of ``[b, t, ...]``, from the first one on.

        Raises:
            TooFewSamplesError: for clips that are too short.
        """
        if self.frames is None:
            return frames[:, :: self.stride]
        span = (self.frames - 1) * self.stride + 1
        if frames.shape[1] < span:
            raise TooFewSamplesError(
                f"it looks at {self.frames} frames, one in {self.stride}, for which clips of {span} frames are needed; "
                f"these have {frames.shape[1]}."
            )
        return frames[:, : span : self.stride]


class Extractor(nn.Module):
    """A frozen network between uint8 frames and metrics: a :class:`~mutoscope.metrics.inception.FrameClassifier`.

    What it found is remembered as long as the frames live, so that several metrics look through it once. On processors,
    which take hundreds of times longer to look at a frame than to recognise it, samples that were seen lately are not
    looked at again either: pictures that stand still, and most foils, which are the same frames in another order.

    Args:
        network: with its weights, from prepared input to features, or to features and logits.
        prepare: from ``[n, 3, h, w]`` uint8 to its input.
        view: which frames, how resized and scaled.
        per: whether a sample is a frame or a clip.
        num_features, num_classes: sizes of what it gives.
        digest: of its weights and all else that makes its numbers.
    """

    def __init__(
        self,
        network: nn.Module,
        prepare: Callable[[Tensor], Tensor],
        view: View,
        per: Literal["frame", "clip"],
        num_features: int,
        num_classes: int,
        digest: str,
    ) -> None:
        super().__init__()
        self.network, self.prepare, self.view, self.per = network, prepare, view, per
        self.num_features, self.num_classes, self.digest = num_features, num_classes, digest
        self._seen = WeakTensorKeyDictionary()
        self._remembered: OrderedDict[bytes, tuple[Tensor, Tensor]] = OrderedDict()
        self._pinned = False
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Extractor":
        """It stays as it is."""
        return super().train(False)

    def pin(self, device: torch.device) -> None:
        """Work on a device from now on, wherever the metrics are moved that look through it."""
        self._pinned = False
        self.to(device)
        self._pinned = True

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Extractor":
        if self._pinned:
            return self
        self._remembered.clear()
        return super()._apply(fn, recurse)

    def features(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """``frames: [b, t, 3, h, w]`` uint8 RGB -> features ``[n, d]`` and logits ``[n, k]`` where they are.

        ``n`` counts frames, or clips, as ``per`` says.

        Raises:
            ValueError: for other types and shapes.
            TooFewSamplesError: for clips that are too short.
        """
        check_frames(type(self).__name__, frames)
        version = None if frames.is_inference() else frames._version
        if frames in self._seen and self._seen[frames][0] == version:
            return self._seen[frames][1]
        found = self._look(self.view.of(frames))
        self._seen[frames] = version, found
        return found

    def stand_in(self, features: Tensor, logits: Tensor) -> Tensor:
        """A tensor of frames in which this network has found these features and logits, to hand to metrics.

        For features that were found before: nothing is looked at again as long as the tensor lives.
        """
        frames = torch.zeros(1, 1, 3, 1, 1, dtype=torch.uint8)
        self._seen[frames] = frames._version, (features, logits)
        return frames

    @property
    def view_key(self) -> str:
        """Of how it looks, for the names of files."""
        return hashlib.sha256(repr(self.view).encode()).hexdigest()[:8]

    @torch.no_grad()
    def _look(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        samples = frames.flatten(0, 1) if self.per == "frame" else frames
        if not len(samples):
            empty = torch.zeros(0, self.num_features), torch.zeros(0, self.num_classes)
            return empty[0].to(frames.device), empty[1].to(frames.device)
        devices = {samples.device.type, next(self.network.parameters()).device.type}
        return self._look_at_new(samples) if devices == {"cpu"} else self._look_at_all(samples)

    def _look_at_new(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        known = self._remembered
        keys = [hashlib.sha256(f"{sample.shape}".encode() + sample.numpy().tobytes()).digest() for sample in samples]
        new = {key: i for i, key in enumerate(keys) if key not in known}
        if new:
            known.update(zip(new, zip(*self._look_at_all(samples[list(new.values())]), strict=True), strict=True))
        found = []
        for key in keys:
            known.move_to_end(key)
            found.append(known[key])
        while len(known) > _REMEMBERED:
            known.popitem(last=False)
        features, logits = (torch.stack(side) for side in zip(*found, strict=True))
        return features, logits

    def _look_at_all(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits of ``[n, 3, h, w]`` or ``[n, t, 3, h, w]``."""
        device = next(self.network.parameters()).device
        found = []
        with torch.autocast(device.type, enabled=False):
            for part in samples.split(_FRAMES if self.per == "frame" else _CLIPS):
                part = part.to(device)
                if self.per == "frame":
                    features, logits = self.network(self.prepare(part))
                else:
                    b, t = part.shape[:2]
                    prepared = self.prepare(part.flatten(0, 1)).unflatten(0, (b, t))
                    features = logits = self.network(prepared.transpose(1, 2))
                found.append((features, logits))
        features, logits = (torch.cat(side).to(samples.device) for side in zip(*found, strict=True))
        return features, logits


def inception_extractor(weights: str | Path | None = None, resize: Resize = "tensorflow1") -> Extractor:
    """Inception-v3 in the form of published FIDs, frame by frame.

    Args:
        weights: a file; ``None`` looks where published weights lie; ``smoke`` draws them, see
            :mod:`~mutoscope.evaluators.smoke`.
        resize: ``tensorflow1`` is the original's rule with input ``(x - 128) / 128`` (torch-fidelity); ``bilinear`` is
            torch's, without antialiasing, with ``x / 127.5 - 1`` (pytorch-fid).

    Raises:
        MissingWeightsError: if there is no such file.
        ValueError: for another rule, or weights of something else.
    """
    if resize not in get_args(Resize):
        raise ValueError(f"resize is '{resize}', expected one of {', '.join(get_args(Resize))}.")
    if weights == SMOKE:
        state = drawn_weights(InceptionV3)
        return _shared(("inception", SMOKE, resize), lambda: _inception(state, resize, smoke_digest(state)))
    path = find_weights("inception_v3_fid", weights)

    def read() -> Extractor:
        state = named_tensors(read_plain(path), f"{path}")
        return _inception(state, resize, state_hash(state))

    return _shared(("inception", path, resize), read)


def _inception(state: Mapping[str, Tensor], resize: Resize, digest: str) -> Extractor:
    size = (inception_v3.SIDE, inception_v3.SIDE)

    def as_tensorflow(images: Tensor) -> Tensor:
        return resize_as_tensorflow1(images, size).sub_(128).div_(128)

    def as_torch(images: Tensor) -> Tensor:
        resized = F.interpolate(images.float() / 255, size, mode="bilinear", align_corners=False) * 2 - 1
        return resized.contiguous(memory_format=torch.channels_last)

    tensorflow = resize == "tensorflow1"
    view = View(
        f"{'TensorFlow 1' if tensorflow else 'bilinear, not antialiased'}, 299x299",
        "(x - 128) / 128" if tensorflow else "x / 127.5 - 1",
    )
    network = InceptionV3()
    _fused(_filled(network, state, "Inception-v3 of 2015-12-05"))
    network.merge_heads()
    # convolutions in two dimensions are faster with channels last, those in three are not
    network = network.to(memory_format=torch.channels_last)
    prepare = as_tensorflow if tensorflow else as_torch
    return Extractor(network, prepare, view, "frame", 2048, 1008, digest)


def i3d_extractor(
    weights: str | Path | None = None,
    network: I3DWeights = "i3d_torchscript",
    frames: int | None = 16,
    stride: int = 1,
) -> Extractor:
    """I3D, clip by clip; features are its 400 logits.

    Args:
        weights: a file, a state dictionary or a TorchScript archive; ``None`` looks where published weights lie;
            ``smoke`` draws them.
        network: whose weights these are. With ``i3d_tats`` batch normalisation has the constant of cd-fvd, TATS and
            VideoGPT (1e-5), otherwise TensorFlow's (1e-3).
        frames: of a clip, from its first one; ``None`` for all.
        stride: from one to the next.

    Raises:
        MissingWeightsError: if there is no such file.
        ValueError: for other networks, or weights of something else, or too few frames.
    """
    if network not in get_args(I3DWeights):
        raise ValueError(f"network is '{network}', expected one of {', '.join(get_args(I3DWeights))}.")
    if stride < 1 or (frames is not None and frames < i3d.SHORTEST):
        raise ValueError(
            f"frames is {frames} and stride {stride}, expected at least {i3d.SHORTEST} frames and a stride of 1."
        )
    eps = 1e-5 if network == "i3d_tats" else 1e-3
    if weights == SMOKE:
        state = drawn_weights(I3D)
        digest = smoke_digest({**state, "eps": torch.tensor(eps)})
        return _shared(("i3d", SMOKE, eps, frames, stride), lambda: _i3d(state, eps, frames, stride, digest))
    path = find_weights(network, weights)

    def read() -> Extractor:
        state = i3d_weights(path)
        return _i3d(state, eps, frames, stride, state_hash({**state, "eps": torch.tensor(eps)}))

    return _shared(("i3d", path, eps, frames, stride), read)


def i3d_weights(path: Path) -> dict[str, Tensor]:
    """The weights of I3D in a file, by the names of :class:`~mutoscope.evaluators.i3d.I3D`.

    Raises:
        ValueError: if it holds something else.
    """
    state = read_archive(path)
    return from_torchscript(named_tensors(read_plain(path), f"{path}") if state is None else state)


def _i3d(state: Mapping[str, Tensor], eps: float, frames: int | None, stride: int, digest: str) -> Extractor:
    size = (i3d.SIDE, i3d.SIDE)

    def prepare(images: Tensor) -> Tensor:
        return F.interpolate(images.float(), size, mode="bilinear", align_corners=False) * (2 / 255) - 1

    view = View("bilinear, not antialiased, 224x224", "x / 127.5 - 1", frames, stride)
    network = I3D(eps)
    _fused(_filled(network, state, "I3D"))
    return Extractor(FrozenI3D(network), prepare, view, "clip", I3D.num_features, I3D.num_features, digest)


def videomae_extractor(weights: str | Path | None = None, stride: int = 1) -> Extractor:
    """VideoMAE V2's ViT-g, clip by clip: 16 frames from the first one on; features are its pooled 1408 numbers.

    Args:
        weights: a file with its state dictionary; ``None`` looks where published weights lie; ``smoke`` draws them.
        stride: from one frame to the next.

    Raises:
        MissingWeightsError: if there is no such file.
        ValueError: for weights of something else, or no stride.
    """
    if stride < 1:
        raise ValueError(f"stride is {stride}, expected at least 1.")
    if weights == SMOKE:
        state = drawn_weights(VideoMAE)
        return _shared(("videomae", SMOKE, stride), lambda: _videomae(state, stride, smoke_digest(state)))
    path = find_weights("videomae_v2_giant_ssv2", weights)

    def read() -> Extractor:
        found = read_plain(path)
        for inner in ("model", "module"):
            if isinstance(found, Mapping) and isinstance(found.get(inner), Mapping):
                found = found[inner]
        # of the classifier that was trained on it
        state = {key: x.float() for key, x in named_tensors(found, f"{path}").items() if not key.startswith("head.")}
        return _videomae(state, stride, state_hash(state))

    return _shared(("videomae", path, stride), read)


def _videomae(state: Mapping[str, Tensor], stride: int, digest: str) -> Extractor:
    size = (videomae.SIDE, videomae.SIDE)

    def prepare(images: Tensor) -> Tensor:
        return F.interpolate(images.float() / 255, size, mode="bilinear", align_corners=False)

    view = View("bilinear, not antialiased, 224x224", "x / 255", videomae.FRAMES, stride)
    network = _filled(VideoMAE(), state, "VideoMAE V2's ViT-g")
    features = int(network.num_features)  # type: ignore[arg-type]
    return Extractor(network, prepare, view, "clip", features, features, digest)


def _filled(network: nn.Module, state: Mapping[str, Tensor], what: str) -> nn.Module:
    wanted = {key: x.shape for key, x in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    given = {key: x for key, x in state.items() if not key.endswith("num_batches_tracked")}
    for key, shape in wanted.items():
        if key not in given or given[key].shape != shape:
            found = f"there it has the shape {list(given[key].shape)}" if key in given else "there is none"
            raise ValueError(f"These are no weights of {what}: '{key}' {list(shape)} is expected, {found}.")
    if further := sorted(set(given) - set(wanted)):
        raise ValueError(f"These are no weights of {what}: they hold '{further[0]}', which it does not have.")
    network.load_state_dict(given, strict=False)
    return network.eval()


def _fused(network: nn.Module) -> nn.Module:
    """Batch normalisation folded into the convolutions before it: the same numbers up to rounding, in less time."""
    for module in network.modules():
        for convolution in ("conv", "conv3d"):
            conv, norm = getattr(module, convolution, None), getattr(module, "bn", None)
            if isinstance(conv, nn.Conv2d | nn.Conv3d) and isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d):
                setattr(module, convolution, fuse_conv_bn_eval(conv, norm))
                module.bn = nn.Identity()
    return network


_extractors: WeakValueDictionary[tuple[object, ...], Extractor] = WeakValueDictionary()


def _shared(key: tuple[object, ...], make: Callable[[], Extractor]) -> Extractor:
    """One extractor for all metrics that look in the same way through the same file."""
    stats = [part.stat() for part in key if isinstance(part, Path)]
    full = (*key, *((stat.st_mtime_ns, stat.st_size) for stat in stats))
    found = _extractors.get(full)
    if found is None:
        found = _extractors[full] = make()
    return found
