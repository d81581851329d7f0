"""Video files: MP4 and GIF out, anything that PyAV decodes in. Frames are ``uint8 [t, h, w, 3]`` RGB throughout."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image

from mutoscope.runtime.files import replacing

Frames = NDArray[np.uint8]

#: H.273 code of BT.709, the matrix that players assume where a file names none and the picture is large
_BT709 = 1


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
        stream = out.add_stream("libx264", rate=_rate(fps), options={"crf": str(crf)})
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
    """Decode a whole video.

    Args:
        path: any file that FFmpeg's libraries decode (mp4, webm, avi, gif ...).

    Returns:
        frames ``[t, h, w, 3]`` uint8 RGB, and frames per second (the average over the file).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no video, is corrupt or cut off, changes its size, or names no frame rate.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no video file at '{path}'.")
    try:
        container = av.open(str(path))
    except av.error.FFmpegError as error:
        raise ValueError(
            f"'{path}' cannot be opened as a video ({error.strerror}); the file may be corrupt."
        ) from error
    try:
        if not container.streams.video:
            raise ValueError(f"'{path}' holds no video stream, so there are no frames to read.")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        promised = stream.frames
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        rate = stream.average_rate
    except av.error.FFmpegError as error:
        raise ValueError(f"'{path}' cannot be decoded ({error.strerror}); the file may be corrupt.") from error
    finally:
        container.close()
    if len(frames) < (expected := max(promised, 1)):
        raise ValueError(
            f"'{path}' ends early: {len(frames)} of {expected} frames could be decoded; fetch or write it again."
        )
    if sizes := {f.shape for f in frames} - {frames[0].shape}:
        raise ValueError(f"'{path}' changes its frame size from {frames[0].shape[:2]} to {sizes.pop()[:2]} on the way.")
    if not rate:
        raise ValueError(f"'{path}' does not say its frame rate; write it again with one.")
    return np.stack(frames), float(rate)


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
