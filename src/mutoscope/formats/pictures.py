"""Pictures as cameras, scanners and editors write them, as ``uint8 [h, w, 3]`` RGB the right way up."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mutoscope.formats.sources import FileError, check_file, reason

Picture = NDArray[np.uint8]

#: endings of pictures in folders of frames
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
#: what is read; of Pillow's other formats, some start programs
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
#: what transparent parts show
BACKGROUND = (255, 255, 255)
_LIMIT = 2**29
#: of a progressive JPEG, ten are usual; each makes the decoder go over the whole picture again
_MOST_SCANS = 200
_EXIF_ORIENTATION = 0x0112

log = logging.getLogger(__name__)


class PictureError(FileError):
    """A picture that cannot be read, or whose colours could be taken in several ways."""


def read_picture(path: Path) -> Picture:
    """Read a picture.

    It is turned as its orientation flag says. 16-bit grey and floats from 0 to 1 become 0 to 255, palettes and CMYK
    become RGB, transparent parts show white (:data:`BACKGROUND`; said once a picture).

    Args:
        path: PNG, JPEG, WebP, GIF, BMP, TIFF, PPM, AVIF or JPEG 2000.

    Returns:
        ``[h, w, 3]`` uint8.

    Raises:
        FileNotFoundError: if there is no such file.
        PictureError: if it is no picture, damaged or too large, holds several pictures, or numbers without an agreed
            range.
    """
    with _opened(path) as image:
        frames = getattr(image, "n_frames", 1)
        # phones put a second, smaller picture behind the first
        if frames > 1 and image.format != "MPO":
            raise PictureError(path, f"it holds {frames} pictures; give one of them as a picture of its own.")
        _check_scans(image, path)
        image.load()
        upright = ImageOps.exif_transpose(image)
        return _rgb(upright, path)


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture the right way up, without decoding it; errors as :func:`read_picture`."""
    with _opened(path) as image:
        width, height = image.size
        # of TIFF files, Pillow gives the size that they are shown in
        turned = image.format != "TIFF" and image.getexif().get(_EXIF_ORIENTATION) in (5, 6, 7, 8)
        return (height, width) if turned else (width, height)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    check_file(path, _LIMIT, PictureError, missing=f"There is no picture {path}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow only warns of pictures that would take gigabytes up to twice its limit
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                yield image
    except PictureError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        most = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise PictureError(path, f"it has more than {most:.0f} million pixels; make it smaller.") from None
    # decoders of damaged files raise nearly everything
    except Exception as error:
        what = "no picture that is known here" if isinstance(error, UnidentifiedImageError) else reason(error)
        raise PictureError(
            path, f"it cannot be read as a picture ({what}); expected a PNG or JPEG, or save it again as one."
        ) from None


def _check_scans(image: Image.Image, path: Path) -> None:
    if image.format in ("JPEG", "MPO") and (scans := path.read_bytes().count(b"\xff\xda")) > _MOST_SCANS:
        raise PictureError(path, f"it is drawn in {scans} passes, more than {_MOST_SCANS}; save it again.")


def _rgb(image: Image.Image, path: Path) -> Picture:
    if image.mode == "F":
        return _grey(_of_floats(np.asarray(image), path))
    if image.mode.startswith("I;16"):
        return _grey(np.asarray(image).astype(np.float64) / 65535)
    if image.mode == "I":
        raise PictureError(path, "it has 32 bits per pixel, of which nobody knows the range; save it with 8 or 16.")
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        if with_alpha.getchannel("A").getextrema() != (255, 255):
            log.warning("%s is transparent in parts, which show white.", path)
            ground = Image.new("RGBA", image.size, (*BACKGROUND, 255))
            return np.asarray(Image.alpha_composite(ground, with_alpha).convert("RGB"))
        image = with_alpha
    return np.asarray(image.convert("RGB"))


def _of_floats(values: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise PictureError(
            path,
            f"its numbers go from {values.min():g} to {values.max():g}, expected 0 to 1; save it with 8 bits a pixel.",
        )
    return values


def _grey(values: NDArray[np.floating]) -> Picture:
    """``[h, w]`` in [0, 1] -> ``[h, w, 3]``."""
    return np.repeat(np.rint(values * 255).astype(np.uint8)[..., None], 3, axis=-1)
