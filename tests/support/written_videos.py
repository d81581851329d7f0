"""Video files with what cameras and editors put into them, written with PyAV itself."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from mutoscope.formats.video import write_mp4


def write(path: Path, frames: list[np.ndarray], **options: Any) -> Path:
    """Lossless where the codec can, with PyAV itself."""
    codec, pixels = options.pop("codec", "libx264"), options.pop("pixels", "yuv444p")
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=options.pop("rate", 10), options={"crf": "1"} if codec == "libx264" else {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if (ratio := options.pop("ratio", None)) is not None:
            stream.codec_context.sample_aspect_ratio = ratio
        colour_range = options.pop("colour_range", None)
        if colour_range is not None:
            stream.codec_context.color_range = colour_range
        times = options.pop("times", None)
        if times is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for i, one in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(one), format="rgb24")
            if colour_range is not None:
                frame = frame.reformat(format=pixels, dst_color_range=colour_range)
            if times is not None:
                frame.pts, frame.time_base = round(times[i] * 1000), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def turned(path: Path, matrix: tuple[int, ...]) -> Path:
    """An MP4 that asks to be shown turned, by the first two rows and columns of its display matrix."""
    data = bytearray(path.read_bytes())
    # the matrix of the track header lies 40 bytes behind its name, version and times
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = matrix
    values = [a * 65536, b * 65536, 0, c * 65536, d * 65536, 0, 0, 0, 2**30]
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(data)
    return path


def write_sound(path: Path) -> Path:
    """A file with sound and no pictures."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=16000)
        stream.layout = "mono"
        for part in range(8):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, 1024 * part
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def write_folder(root: Path, videos: int = 2, frames: int = 20, size: tuple[int, int] = (60, 80)) -> Path:
    """A folder with videos of a bright square that walks over a still ground."""
    root.mkdir(parents=True)
    for number in range(videos):
        shown = np.full((frames, *size, 3), 60 * number, np.uint8)
        for t in range(frames):
            shown[t, size[0] // 3 : 2 * size[0] // 3, 2 * t : 2 * t + size[1] // 5] = 250
        write_mp4(root / f"{number}.mp4", shown, 10)
    return root
