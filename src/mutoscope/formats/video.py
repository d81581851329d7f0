"""Video files: MP4 and GIF out, anything that PyAV decodes in. Frames are ``uint8 [t, h, w, 3]`` RGB throughout."""

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image

from mutoscope.formats.decoding import VideoError, at_constant_rate, open_video, some_frames, timed_frames
from mutoscope.formats.sources import size_of
from mutoscope.runtime.files import replacing

Frames = NDArray[np.uint8]

#: H.273 code of BT.709, the matrix that players assume where a file names none and the picture is large
_BT709 = 1
#: how long x264 looks for smaller files of the same quality
PRESET = "medium"
#: of a decoded video at most
_MOST_BYTES = 4 * 10**9

log = logging.getLogger(__name__)


def write_mp4(path: str | Path, frames: Frames, fps: float, crf: int = 18) -> Path:
    """Encode H.264 (yuv420p, BT.709, index first), playable in browsers and dashboards.

    The format stores colour at half resolution, so sizes must be even: an odd last row or column is repeated once.
    Encoding is lossy; compute metrics from arrays, not from files.

    Args:
        path: where to write; replaced atomically.
        frames: ``[t, h, w, 3]`` uint8 RGB.
        fps: frames per second.
        crf: x264's quality, 0 (lossless luma) to 51; 18 looks the same as the source.

    Raises:
        TypeError, ValueError: frames of another type or shape, fps not positive.
    """
    _check(frames, fps)
    _, h, w, _ = frames.shape
    frames = np.pad(frames, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    with (
        replacing(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as out,
    ):
        stream = out.add_stream("libx264", rate=_rate(fps), options={"crf": str(crf), "preset": PRESET})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame = frame.reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
            )
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return Path(path)


def write_gif(path: str | Path, frames: Frames, fps: float) -> Path:
    """Write an endlessly looping GIF; all frames share one palette, so still parts do not flicker.

    GIF counts time in hundredths of a second and viewers slow down frames shorter than two of them: each frame is
    shown for its share of the rounded total, and above 50 fps frames are left out.

    Args:
        path: where to write; replaced atomically.
        frames: ``[t, h, w, 3]`` uint8 RGB.
        fps: frames per second.

    Raises:
        TypeError, ValueError: as :func:`write_mp4`.
    """
    _check(frames, fps)
    if fps > 50:
        keep = np.unique(np.floor(np.arange(0, len(frames), fps / 50)).astype(int))
        frames, fps = frames[keep], 50.0
    ticks = np.round(np.arange(len(frames) + 1) * 100 / fps).astype(int)
    durations = np.diff(ticks) * 10
    some = frames[np.linspace(0, len(frames) - 1, min(len(frames), 8)).astype(int)]
    palette = Image.fromarray(some.reshape(-1, *frames.shape[2:])).quantize(255, dither=Image.Dither.NONE)
    first, *rest = [Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    # Pillow merges equal neighbours and adds up their durations, so a still clip is one long frame.
    with replacing(path) as temporary:
        first.save(
            temporary, "GIF", save_all=True, append_images=rest, duration=durations.tolist(), loop=0, optimize=False
        )
    return Path(path)


def read_video(path: str | Path) -> tuple[Frames, float]:
    """Decode a whole video: turned as it asks for, with square pixels, transparent parts white.

    Where frames are shown for different times they are repeated or left out at a constant rate, which is said.

    Args:
        path: any file that FFmpeg's libraries decode (mp4, webm, avi, gif ...).

    Returns:
        frames ``[t, h, w, 3]`` uint8 RGB, and frames per second (the average over the file).

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: it is no video, is corrupt or cut off, changes its size, names no frame rate, or is too large for
            memory.
    """
    path = Path(path)
    with open_video(path) as (_, stream):
        promised, rate = stream.frames, stream.average_rate
    frames: list[NDArray[np.uint8]] = []
    times: list[float | None] = []
    try:
        for picture, time in timed_frames(path, square=True):
            if max(promised, len(frames) + 1) * picture.nbytes > _MOST_BYTES:
                raise MemoryError
            frames.append(picture)
            times.append(time)
        if len(frames) < (expected := max(promised, 1)):
            raise VideoError(
                path, f"it ends early: {len(frames)} of {expected} frames could be decoded; fetch or write it again."
            )
        if sizes := {f.shape for f in frames} - {frames[0].shape}:
            raise VideoError(path, f"it changes its frame size from {frames[0].shape[:2]} to {sizes.pop()[:2]}.")
        if not rate:
            raise VideoError(path, "it does not say its frame rate; write it again with one.")
        shown, fps = at_constant_rate(times, float(rate))
        if shown is None:
            return np.stack(frames), fps
        log.warning("%s shows its frames for different times; they are taken %g times a second.", path, fps)
        if len(shown) * frames[0].nbytes > _MOST_BYTES:
            raise MemoryError
        return np.stack(frames)[shown], fps
    except MemoryError:
        raise VideoError(
            path,
            f"its {max(promised, len(frames))} or more frames take more memory than there is, or than the "
            f"{size_of(_MOST_BYTES)} that a video may; cut it or make it smaller.",
        ) from None


def read_frames(path: str | Path, choose: Callable[[int, float], NDArray[np.int64]]) -> tuple[Frames, float]:
    """The frames of a video that somebody chooses, in rising order; as :func:`read_video` would give them.

    Nothing is decoded after the last of them, and pictures are made of no others, which is most of the work where few
    frames of long videos are wanted. A file that does not promise how many frames it has, or does not show all of them
    equally long, is read as a whole.

    Args:
        path: see :func:`read_video`.
        choose: from the number of frames and frames per second to the numbers of frames that are wanted; may raise.

    Raises:
        FileNotFoundError, VideoError: see :func:`read_video`; what comes after the last frame is not looked at.
    """
    path = Path(path)
    with open_video(path, 1) as (_, stream):
        promised, rate = stream.frames, stream.average_rate
    if promised and rate:
        wanted = choose(promised, float(rate))
        kept: dict[int, NDArray[np.uint8]] = {}
        times: list[float | None] = []
        for picture, moment in some_frames(path, set(wanted.tolist()), 1, square=True):
            times.append(moment)
            if picture is not None:
                kept[len(times) - 1] = picture
            if len(times) > wanted[-1]:
                break
        if len(times) > wanted[-1] and _steady(times, float(rate)) and len({x.shape for x in kept.values()}) == 1:
            return np.stack([kept[number] for number in wanted.tolist()]), float(rate)
    frames, fps = read_video(path)
    return frames[choose(len(frames), fps)], fps


def _steady(times: list[float | None], rate: float) -> bool:
    """Whether frames come as often as the whole file says."""
    if at_constant_rate(times, rate)[0] is not None:
        return False
    first, last = times[0], times[-1]
    return len(times) < 3 or first is None or last is None or abs((last - first) * rate - len(times) + 1) < 0.5


def _rate(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(1001)


def _check(frames: Frames, fps: float) -> None:
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
        what = f"an array of {frames.dtype}" if hasattr(frames, "dtype") else type(frames).__name__
        raise TypeError(f"Video frames are {what}, expected a NumPy array of uint8 in [0, 255].")
    if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError(f"Video frames have shape {list(frames.shape)}, expected [t, h, w, 3] with nothing empty.")
    if not 0 < fps < float("inf"):
        raise ValueError(f"fps is {fps}, expected a positive number of frames per second.")
