"""Distances between sets of videos through published networks: FID, KID, Inception score, precision, recall, FVD, KVD.

Each takes ``fake_frames`` and ``real_frames``, ``[b, t, 3, h, w]`` uint8 RGB, one side or both, and adds up over
batches and processes. Frames are taken as they are: they were rounded to uint8 before, which is part of the protocol.
Without the network's weights none can be made: ``MissingWeightsError`` says where they come from.
"""

import warnings
from typing import Any, TypedDict, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from mutoscope.evaluators import inception_v3
from mutoscope.evaluators.extractors import (
    I3DWeights,
    Resize,
    i3d_extractor,
    inception_extractor,
    videomae_extractor,
)
from mutoscope.formats.weights import MissingWeightsError
from mutoscope.metrics.common import MetricWarning, Side
from mutoscope.metrics.coverage import PrecisionRecall, Question
from mutoscope.metrics.frechet import FeatureMoments
from mutoscope.metrics.inception import ClassifierFID, InceptionScore
from mutoscope.metrics.kernel import ClassifierKID
from mutoscope.metrics.motion import MotionMetric
from mutoscope.structures import Normaliser


class InceptionSettings(TypedDict, total=False):
    """How metrics of frames look, see :func:`~mutoscope.evaluators.extractors.inception_extractor`.

    Args:
        weights: a file, or ``None`` to look where published ones lie.
        resize: ``tensorflow1`` as the original and torch-fidelity, ``bilinear`` as pytorch-fid.
    """

    weights: str | None
    resize: Resize


class I3DSettings(TypedDict, total=False):
    """How metrics of clips look, see :func:`~mutoscope.evaluators.extractors.i3d_extractor`.

    Args:
        weights: a file, or ``None`` to look where published ones lie.
        network: whose weights; ``i3d_tats`` is measured as cd-fvd, TATS and VideoGPT do.
        frames: so many of every clip from its first one; ``None`` for all.
        stride: from one of these frames to the next.
    """

    weights: str | None
    network: I3DWeights
    frames: int | None
    stride: int


class FID(ClassifierFID):
    """Fréchet Inception distance of frames (Heusel et al. 2017).

    Protocol: every frame of every clip is a sample; TensorFlow's Inception-v3 of 2015-12-05, 2048 pooled features.
    Biased upward at few samples, and no number of frames of a few clips helps: they are alike. It does not see time.

    Args:
        ddof: 1 divides covariances by ``n - 1``, 0 by ``n``.
        weights, resize: see :class:`InceptionSettings`.
    """

    meaning = "Fréchet distance of Inception features of frames, real against generated; squared feature units"

    def __init__(self, ddof: int = 1, **network: Unpack[InceptionSettings]) -> None:
        super().__init__(inception_extractor(**network), ddof)


class KID(ClassifierKID):
    """Kernel Inception distance of frames (Binkowski et al. 2018), unbiased at any number of samples.

    Args:
        subsets: drawn from both sides, of whose distances the mean is taken; ``None`` for all samples at once.
        subset_size: samples of each side in one; with fewer there is no value.
        seed: of the draw.
        weights, resize: see :class:`InceptionSettings`.
    """

    def __init__(
        self,
        subsets: int | None = 100,
        subset_size: int = 1000,
        seed: int = 0,
        **network: Unpack[InceptionSettings],
    ) -> None:
        super().__init__(inception_extractor(**network), subsets, subset_size, seed)


class FrameInceptionScore(InceptionScore):
    """Inception score of frames (Salimans et al. 2016): logits without bias, as TensorFlow's program has them.

    Protocol: frames go to the splits in turn; programs that split a shuffled list differ by chance. It never looks at
    real frames: a set of one perfect frame per class of ImageNet would win.

    Args:
        splits: of whose scores the mean is taken.
        of: which side to look at.
        weights, resize: see :class:`InceptionSettings`.
    """

    def __init__(self, splits: int = 10, of: Side = "fake", **network: Unpack[InceptionSettings]) -> None:
        super().__init__(inception_extractor(**network), splits, of)


class FramePrecisionRecall(PrecisionRecall):
    """Improved precision or recall of frames (Kynkäänniemi et al. 2019) in Inception's features.

    The paper looks through VGG-16; here it is the network of FID, so that both look through it once.

    Args:
        question: ``precision`` or ``recall``.
        neighbours: out to which balls reach.
        weights, resize: see :class:`InceptionSettings`.
    """

    def __init__(
        self, question: Question = "precision", neighbours: int = 3, **network: Unpack[InceptionSettings]
    ) -> None:
        super().__init__(inception_extractor(**network), question, neighbours)


class FVD(ClassifierFID):
    """Fréchet video distance (Unterthiner et al. 2018) of clips, in the 400 logits of I3D.

    Protocol: ``frames`` frames of every clip from its first one, ``stride`` apart, resized to 224 pixels without
    antialiasing. Published numbers come from 2048 clips of either side; with no more than 400 the covariance is
    singular and the number far too high. It sees single frames better than motion.

    Args:
        ddof: 0 divides covariances by ``n`` (StyleGAN-V, cd-fvd), 1 by ``n - 1``.
        samples: clips of either side that the protocol asks for; another number is warned of.
        weights, network, frames, stride: see :class:`I3DSettings`.
    """

    meaning = "Fréchet distance of I3D's logits of clips, real against generated; squared logits"

    def __init__(self, ddof: int = 0, samples: int | None = None, **look: Unpack[I3DSettings]) -> None:
        super().__init__(i3d_extractor(**look), ddof)
        self.samples = samples

    def compute(self) -> Tensor:
        """Fréchet distance, a float64 scalar; see :meth:`~mutoscope.metrics.frechet.FeatureMoments.compute`.

        Warns:
            MetricWarning: for numbers of clips that are not those of the protocol.
        """
        n, m = int(self.real_count), int(self.fake_count)
        value = super().compute()
        if self.samples is not None and (n, m) != (self.samples, self.samples):
            few = " The distance is biased upward besides." if min(n, m) <= self.num_features else ""
            warnings.warn(
                f"The protocol asks for {self.samples} clips of either side, these are {n} real and {m} fake ones: "
                f"comparable with numbers of the same counts alone.{few}",
                MetricWarning,
                stacklevel=2,
            )
        return value


class ContentDebiasedFVD(FVD):
    """Content-debiased Fréchet video distance (Ge et al. 2024): FVD in the features of VideoMAE V2 instead of I3D.

    Protocol: 16 frames of every clip from its first one, ``stride`` apart, resized to 224 pixels without antialiasing,
    0 to 1; ViT-g, fine-tuned on Something-Something V2, 1408 pooled features. Its authors find
    that it sees broken motion that FVD overlooks. With no more than 1408 clips of either side the covariance is
    singular.

    Args:
        ddof: 0 divides covariances by ``n`` (cd-fvd), 1 by ``n - 1``.
        samples: clips of either side that the protocol asks for; another number is warned of.
        weights, stride: see :func:`~mutoscope.evaluators.extractors.videomae_extractor`.
    """

    meaning = "Fréchet distance of VideoMAE V2's features of clips, real against generated; squared feature units"

    def __init__(self, ddof: int = 0, samples: int | None = None, weights: str | None = None, stride: int = 1) -> None:
        ClassifierFID.__init__(self, videomae_extractor(weights, stride), ddof)
        self.samples = samples


class ClassifierOfYoursFID(ClassifierFID):
    """Fréchet distance through a video classifier that does not come with this project (AG2Vid, Tables 2 and 3).

    Args:
        classifier: see :class:`~mutoscope.metrics.inception.FrameClassifier`.
        ddof: 1 divides covariances by ``n - 1``.

    Raises:
        MissingWeightsError: without a classifier.
    """

    def __init__(self, classifier: Any | None = None, ddof: int = 1) -> None:
        if classifier is None:
            raise MissingWeightsError(
                "AG2Vid's FID looks through a TSM ResNet-50 trained on Something-Something V2, whose weights may not "
                "be passed on; give the metric a classifier of yours, classifier._target_=your_package.YourClassifier."
            )
        super().__init__(classifier, ddof)


class KineticGANFID(MotionMetric, FeatureMoments):
    """Kinetic-GAN's "FID": a clip's skeleton taken for a picture of joints by frames, through Inception (pytorch-fid).

    Protocol, all of it odd: coordinates in network units, -1..1, stand where the program expects colours from 0 to 1,
    so that the network sees -3..1; a picture of 64 by 25 pixels is stretched to 299. The released program scales by the
    extremes of the file it measures; here it is the dataset's normaliser. Only for three dimensions.

    Args:
        normaliser: of the dataset, to network units.
        weights: a file; ``None`` looks where published weights lie.
    """

    meaning = "Fréchet distance of Inception features of skeletons taken for pictures; squared feature units"
    caveat = "It looks through a network of photographs at pictures of coordinates: for comparing with the paper alone."
    spatial = True

    def __init__(self, normaliser: Normaliser, weights: str | None = None) -> None:
        classifier = inception_extractor(weights, "bilinear")
        FeatureMoments.__init__(self, classifier.num_features, 1)
        self.normaliser, self.classifier = normaliser, classifier

    def _take(self, joints: Tensor, label: Tensor, mask: Tensor, real: bool) -> None:
        pictures = self.normaliser.normalise(joints).movedim(-1, 1).float()
        size = (inception_v3.SIDE, inception_v3.SIDE)
        network = self.classifier.network
        with torch.no_grad(), torch.autocast(joints.device.type, enabled=False):
            for part in pictures.split(32):
                seen = F.interpolate(part, size, mode="bilinear", align_corners=False) * 2 - 1
                self._add(network(seen.to(next(network.parameters()).device))[0], real)


class KVD(ClassifierKID):
    """Kernel video distance (Unterthiner et al. 2018): the kernel distance of KID in I3D's logits, from all clips.

    Unbiased, so that a few dozen clips say something, within its interval.

    Args:
        weights, network, frames, stride: see :class:`I3DSettings`.
    """

    def __init__(self, **look: Unpack[I3DSettings]) -> None:
        super().__init__(i3d_extractor(**look))
