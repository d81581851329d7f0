"""Decoding video files frame by frame: the right stream, the right way up, the right colours, within limits."""

import logging
import math
import time
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from mutoscope.formats.pictures import BACKGROUND, Picture
from mutoscope.formats.sources import FileError, check_file, reason

#: pixels of a frame at most: 8K, with room
MOST_PIXELS = 2**26
#: bytes of a file at most
_LIMIT = 2**40
#: containers that hold their frames themselves; of FFmpeg's others, play lists open whatever files they name
_CONTAINERS = (
    *("mov", "mp4", "matroska", "webm", "avi", "gif", "apng", "webp", "ogg", "flv", "asf", "mpeg", "mpegts", "ivf"),
    *("mpegvideo", "h264", "hevc", "obu", "nut", "yuv4mpegpipe"),
)
#: seconds that a file may keep its reader waiting, when it is opened and for every frame
_PATIENCE = 120.0
#: seconds after a moment at which one looks what is shown: files round the times of frames to milliseconds
_LATE = 0.002
#: a pixel is at most so many times as wide as high, or the reverse
_FLATTEST = 10

log = logging.getLogger(__name__)


class VideoError(FileError):
    """A video file that cannot be decoded, or not in one way only."""


class NoVideoStreamError(VideoError):
    """A file with sound, subtitles or covers alone."""


class VideoExtent(NamedTuple):
    """What a video file holds, found without decoding it.

    Args:
        width, height: of the frames as :func:`timed_frames` gives them.
        frames: how many there are at most.
        seconds: from the first one on, the last one's own time included; ``None`` where the file does not say.
    """

    width: int
    height: int
    frames: int
    seconds: float | None


class TimedPicture(NamedTuple):
    """A frame ``[h, w, 3]`` uint8 and when it is shown, in seconds, if the file says."""

    picture: Picture
    time: float | None


@contextmanager
def open_video(path: Path, threads: int = 0) -> Iterator[tuple[Any, Any]]:
    """The container of a video file and the stream to decode.

    Of several streams the one that players choose is taken, which is said; cover pictures are no streams.

    Args:
        path: any file that FFmpeg's libraries decode.
        threads: of the decoder; 0 for as many as it likes.

    Raises:
        FileNotFoundError: if there is no such file.
        VideoError: if it is no video or a play list, or what is decoded in the block breaks off or does not go on.
    """
    check_file(path, _LIMIT, VideoError, missing=f"There is no video file at '{path}'.")
    with _sentences(path, "opened as a video"):
        try:
            container = av.open(
                str(path),
                # texts within a file matter to nobody here
                metadata_errors="replace",
                options={"format_whitelist": ",".join(_CONTAINERS), "protocol_whitelist": "file"},
                timeout=_PATIENCE,
            )
        except av.error.ArgumentError:
            raise VideoError(
                path,
                "it is no video that holds its own frames (a play list, sound alone, or a rare container); write it "
                "as mp4, webm, avi or gif.",
            ) from None
    try:
        with _sentences(path, "decoded"):
            stream = _stream(container, path)
            stream.thread_type = "NONE" if threads == 1 else "AUTO"
            stream.codec_context.thread_count = threads
            yield container, stream
    finally:
        container.close()


def timed_frames(path: Path, threads: int = 0, square: bool = False) -> Iterator[TimedPicture]:
    """Frames one after the other, turned as the file asks for; transparent parts show white.

    Args:
        path: any file that FFmpeg's libraries decode.
        threads: of the decoder; 0 for as many as it likes.
        square: whether to stretch frames whose pixels are not square.

    Raises:
        FileNotFoundError, VideoError: see :func:`open_video`.
    """
    for picture, moment in some_frames(path, None, threads, square):
        assert picture is not None
        yield TimedPicture(picture, moment)


def some_frames(
    path: Path, wanted: Container[int] | None, threads: int = 0, square: bool = False
) -> Iterator[tuple[Picture | None, float | None]]:
    """As :func:`timed_frames`, but only ``wanted`` frames, by number, are made pictures of; the others are ``None``."""
    with open_video(path, threads) as (container, stream):
        ratio = _pixel_ratio(stream, path) if square else Fraction(1)
        converter, turn = VideoReformatter(), None
        begun, number = time.monotonic(), 0
        for packet in container.demux(stream):
            for frame in packet.decode():
                # asking a frame for its side data keeps it and the converter's threads alive: only the first is asked
                turn = turn or _display(frame, path)
                shown = wanted is None or number in wanted
                yield turn.of(_stretched(_rgb(frame, converter), ratio)) if shown else None, frame.time
                begun, number = time.monotonic(), number + 1
            if time.monotonic() - begun > _PATIENCE:
                raise VideoError(path, f"no frame came out of it for {_PATIENCE:g} seconds; write it again.")


def probe_video(path: Path) -> tuple[int, int, int]:
    """Width and height of the frames as :func:`timed_frames` gives them, and how many there are; one is decoded.

    Raises:
        FileNotFoundError, VideoError: see :func:`open_video`.
    """
    return extent_of(path)[:3]


def extent_of(path: Path) -> VideoExtent:
    """How large and how long a video is; one frame is decoded.

    Raises:
        FileNotFoundError, VideoError: see :func:`open_video`.
    """
    count, shape, converter = 0, None, VideoReformatter()
    begin, end = math.inf, -math.inf
    with open_video(path, threads=1) as (container, stream):
        for packet in container.demux(stream):
            # the end of the file comes as a packet without content
            count += packet.size > 0
            if packet.size and packet.pts is not None and not packet.is_discard:
                begin = min(begin, float(packet.pts * packet.time_base))
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if shape is None:
                for frame in packet.decode()[:1]:
                    shape = _display(frame, path).of(_rgb(frame, converter)).shape
        promised = stream.frames
    if shape is None:
        raise VideoError(path, "it holds no frame that can be decoded; fetch it again.")
    if count < promised:
        raise VideoError(path, f"it is cut off: {count} of {promised} frames are there; fetch or write it again.")
    return VideoExtent(shape[1], shape[0], count, end - begin if end >= begin else None)


def at_rate(frames: Iterable[TimedPicture], fps: float, path: Path) -> Iterator[Picture]:
    """What a viewer sees so many times a second: frames are left out or repeated as long as they are shown.

    Args:
        frames: in the order in which they are shown.
        fps: how many a second are wanted.
        path: of the video, for errors.

    Raises:
        VideoError: if the file does not say when its frames are shown, or goes back in time.
    """
    tick, begin, last, seen = 0, 0.0, None, 0
    for seen, (picture, shown) in enumerate(frames, start=1):
        if shown is None:
            raise VideoError(path, "it does not say when its frames are shown; write it again, as an MP4 for instance.")
        if last is None:
            begin = shown
        elif shown - begin < last[1]:
            raise VideoError(path, f"frame {seen} is shown before the one it follows; write it again.")
        else:
            while tick / fps + _LATE < shown - begin:
                yield last[0]
                tick += 1
        last = picture, shown - begin
    if last is not None:
        # the last one is shown as long as the others on the average
        end = last[1] * seen / (seen - 1) if seen > 1 else 0.0
        while tick == 0 or tick / fps + _LATE < end:
            yield last[0]
            tick += 1


@contextmanager
def _sentences(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except (FileError, GeneratorExit):
        raise
    # decoders of damaged files raise nearly everything
    except Exception as error:
        raise VideoError(
            path, f"it cannot be {done} ({reason(error)}); the file may be corrupt, fetch it again."
        ) from None


def _stream(container: Any, path: Path) -> Any:
    covers = av.stream.Disposition.attached_pic
    streams = [one for one in container.streams.video if not one.disposition & covers]
    if not streams:
        raise NoVideoStreamError(path, "it holds no video stream, so there are no frames to read.")
    best = container.streams.best("video")
    chosen = next((one for one in streams if best is not None and one.index == best.index), streams[0])
    width, height = chosen.codec_context.width, chosen.codec_context.height
    if len(streams) > 1:
        log.warning("%s holds %d videos; that of %dx%d pixels is taken.", path, len(streams), width, height)
    if width * height > MOST_PIXELS:
        raise VideoError(path, f"its frames have {width}x{height} pixels, more than {MOST_PIXELS:,}; make it smaller.")
    return chosen


def _pixel_ratio(stream: Any, path: Path) -> Fraction:
    ratio = Fraction(stream.sample_aspect_ratio or 1)
    if not Fraction(1, _FLATTEST) <= ratio <= _FLATTEST:
        raise VideoError(path, f"it says that its pixels are {float(ratio):g} times as wide as high; write it again.")
    return ratio


def _rgb(frame: Any, converter: VideoReformatter) -> Picture:
    """A frame in the colours of its own matrix and range."""
    if frame.format.name != "pal8" and not any(part.is_alpha for part in frame.format.components):
        return np.asarray(converter.reformat(frame, format="rgb24").to_ndarray())
    shown = Image.fromarray(converter.reformat(frame, format="rgba").to_ndarray())
    if shown.getchannel("A").getextrema() == (255, 255):
        return np.asarray(shown)[..., :3]
    return np.asarray(Image.alpha_composite(Image.new("RGBA", shown.size, (*BACKGROUND, 255)), shown))[..., :3]


def _stretched(picture: Picture, ratio: Fraction) -> Picture:
    """With square pixels; the shorter side grows, so that nothing is lost."""
    if ratio == 1:
        return picture
    height, width = picture.shape[:2]
    size = (round(width * ratio), height) if ratio > 1 else (width, round(height / ratio))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))


class _Turn(NamedTuple):
    """How to show a frame: rows for columns, and whether each then runs backwards."""

    transposed: bool = False
    flipped_x: bool = False
    flipped_y: bool = False

    def of(self, picture: Picture) -> Picture:
        picture = picture.swapaxes(0, 1) if self.transposed else picture
        return np.ascontiguousarray(picture[:: -1 if self.flipped_y else 1, :: -1 if self.flipped_x else 1])


def _display(frame: Any, path: Path) -> _Turn:
    """What the display matrix asks for."""
    matrix = next((bytes(one) for one in frame.side_data if one.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return _Turn()
    (a, b, _), (c, d, _), _ = (np.frombuffer(matrix, dtype="<i4")[:9].reshape(3, 3) / 65536).tolist()
    turned = abs(b) > abs(a)
    # a point (x, y) is shown at (a x + c y, b x + d y)
    across, down, rest = (c, b, (a, d)) if turned else (a, d, (b, c))
    if not across or not down or max(map(abs, rest)) > 0.01 * min(abs(across), abs(down)):
        raise VideoError(path, "it asks to be turned by a part of a right angle; write it again, turned.")
    return _Turn(turned, across < 0, down < 0)


def at_constant_rate(times: list[float | None], average: float) -> tuple[NDArray[np.int64] | None, float]:
    """Which frame to show when, where frames are not shown equally long.

    Args:
        times: when each frame is shown, in seconds.
        average: frames per second over the file.

    Returns:
        Frames by index, and how many of them a second has; ``None`` and ``average`` where the file's own frames are
        evenly spaced, up to half of one.
    """
    known = [time for time in times if time is not None]
    if len(known) < max(len(times), 3) or average <= 0:
        return None, average
    moments = np.array(known) - known[0]
    steps = np.diff(moments)
    even = np.arange(len(moments)) * (moments[-1] / (len(moments) - 1))
    if (steps <= 0).any() or np.abs(moments - even).max() <= 0.5 * steps.mean():
        return None, average
    step = max(float(steps.min()), 1 / 60)
    ticks = np.arange(round((moments[-1] + step) / step)) * step
    return np.searchsorted(moments, ticks + step / 2, side="right") - 1, 1 / step
