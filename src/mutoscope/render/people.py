"""Video as people look at it; metrics and saved samples keep their pixels."""

import numpy as np
from torch import Tensor

from mutoscope.render.canvas import Frames

#: frames of less than so many pixels in height are enlarged to at least as many, for people alone
LEAST_HEIGHT = 256


def frames_of(video: Tensor) -> Frames:
    """``[t, 3, h, w]`` uint8 tensor -> ``[t, h, w, 3]`` array."""
    return np.ascontiguousarray(video.cpu().permute(0, 2, 3, 1).numpy())


def factor_for_people(height: int) -> int:
    """The whole factor by which frames are enlarged, pixel by pixel."""
    return max(1, -(-LEAST_HEIGHT // height))


def for_people(video: Frames) -> Frames:
    """A video ``[t, h, w, 3]`` enlarged where it is small; metrics and saved samples keep their pixels."""
    factor = factor_for_people(video.shape[1])
    return video.repeat(factor, axis=1).repeat(factor, axis=2)
