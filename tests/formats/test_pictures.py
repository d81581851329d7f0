"""Pictures of all kinds, written here, with the pixels they must have."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutations import damaged, refusal
from PIL import Image

from mutoscope.formats import pictures
from mutoscope.formats.pictures import PictureError, picture_size, read_picture

SHOWN = np.zeros((48, 64, 3), np.uint8)
SHOWN[:, :32] = (200, 0, 0)
SHOWN[:24] += 40
RAMP = np.linspace(0, 1, 64)[None].repeat(48, 0)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("flag", range(1, 9))
def test_pictures_are_turned_as_their_flag_says(tmp_path: Path, suffix: str, flag: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = flag
    options = {"lossless": True} if suffix == "webp" else {"quality": 95} if suffix == "jpg" else {}
    Image.fromarray(SHOWN).save(tmp_path / f"a.{suffix}", exif=exif, **options)
    # by the table of the EXIF standard: where row 0 and column 0 of the file are shown
    upright = {
        1: SHOWN,
        2: SHOWN[:, ::-1],
        3: SHOWN[::-1, ::-1],
        4: SHOWN[::-1],
        5: SHOWN.swapaxes(0, 1),
        6: SHOWN.swapaxes(0, 1)[:, ::-1],
        7: SHOWN.swapaxes(0, 1)[::-1, ::-1],
        8: SHOWN.swapaxes(0, 1)[::-1],
    }[flag]
    found = read_picture(tmp_path / f"a.{suffix}")
    assert np.abs(found.astype(int) - upright).mean() < 4
    assert picture_size(tmp_path / f"a.{suffix}") == upright.shape[1::-1]


def test_grey_of_all_depths(tmp_path: Path) -> None:
    expected = np.rint(RAMP * 255)
    Image.fromarray(np.rint(RAMP * 65535).astype(np.uint16)).save(tmp_path / "16.png")
    Image.fromarray(np.rint(RAMP * 65535).astype(np.uint16)).save(tmp_path / "16.tiff")
    Image.fromarray(RAMP.astype(np.float32)).save(tmp_path / "f.tiff")
    Image.fromarray(expected.astype(np.uint8)).save(tmp_path / "8.png")
    for name in ("16.png", "16.tiff", "f.tiff", "8.png"):
        found = read_picture(tmp_path / name)
        assert found.dtype == np.uint8
        assert np.abs(found - expected[..., None]).max() <= 1, name
    Image.fromarray(RAMP > 0.5).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "1.png")[..., 1], np.where(RAMP > 0.5, 255, 0))


def test_transparent_parts_show_white_and_it_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    alpha = np.zeros((4, 6, 4), np.uint8)
    alpha[..., 0] = 255
    alpha[:, 2:4, 3] = 51
    alpha[:, 4:, 3] = 255
    Image.fromarray(alpha).save(tmp_path / "a.png")
    palette = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save(tmp_path / "p.png", transparency=1)
    palette.save(tmp_path / "opaque.png")
    assert read_picture(tmp_path / "a.png")[0, ::2].tolist() == [[255, 255, 255], [255, 204, 204], [255, 0, 0]]
    assert read_picture(tmp_path / "p.png")[0].tolist() == [[255, 0, 0], [255, 255, 255], [0, 0, 255]]
    assert "p.png is transparent in parts, which show white" in caplog.text
    assert read_picture(tmp_path / "opaque.png")[0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert "opaque.png" not in caplog.text


def test_inks_become_light(tmp_path: Path) -> None:
    Image.fromarray(SHOWN).convert("CMYK").save(tmp_path / "c.jpg", quality=95)
    assert np.abs(read_picture(tmp_path / "c.jpg").astype(int) - SHOWN).mean() < 4


def write_animation(path: Path, **options: Any) -> None:
    first, *rest = (Image.new("RGB", (8, 8), (40 * i, 0, 0)) for i in range(3))
    first.save(path, save_all=True, append_images=rest, **options)


def test_what_is_no_single_picture_is_a_sentence(tmp_path: Path) -> None:
    for name in ("a.gif", "a.webp", "a.png", "a.tiff"):
        write_animation(tmp_path / name)
        with pytest.raises(PictureError, match=rf"{name}: it holds 3 pictures; give one"):
            read_picture(tmp_path / name)
    Image.new("RGB", (8, 8), (9, 8, 7)).save(tmp_path / "still.gif")
    assert read_picture(tmp_path / "still.gif").shape == (8, 8, 3)
    Image.fromarray((RAMP * 3).astype(np.float32)).save(tmp_path / "f.tiff")
    with pytest.raises(PictureError, match="from 0 to 3, expected 0 to 1"):
        read_picture(tmp_path / "f.tiff")
    Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / "i.tiff")
    with pytest.raises(PictureError, match="32 bits per pixel"):
        read_picture(tmp_path / "i.tiff")
    (tmp_path / "t.png").write_text("no picture")
    with pytest.raises(PictureError, match=r"t\.png: it cannot be read as a picture \(no picture that is known here"):
        read_picture(tmp_path / "t.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PictureError, match="it is a pipe"):
        read_picture(tmp_path / "pipe.png")
    with pytest.raises(FileNotFoundError, match=r"no picture .*none\.png"):
        read_picture(tmp_path / "none.png")


@pytest.mark.parametrize("limit", [3000, 1000], ids=["warned of by Pillow", "refused by Pillow"])
def test_pictures_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    Image.fromarray(SHOWN).save(tmp_path / "a.png")
    monkeypatch.setattr(pictures.Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(PictureError, match=r"a\.png: it has more than 0 million pixels; make it smaller"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tiff", "bmp"])
def test_damaged_pictures_raise_nothing_else(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(SHOWN).save(tmp_path / f"a.{suffix}")
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    path = tmp_path / f"b.{suffix}"
    for data in [*damaged(whole, 40), *(head + whole[150:] for head in damaged(whole[:150], 40))]:
        path.write_bytes(data)
        error, found = refusal(PictureError, lambda: read_picture(path))
        if error is not None:
            assert str(path) in str(error)
        else:
            assert found.dtype == np.uint8
            assert found.shape[2:] == (3,)


def test_a_jpeg_of_endless_passes_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(SHOWN).save(path, progressive=True)
    assert read_picture(path).shape == SHOWN.shape
    data = path.read_bytes()
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    path.write_bytes(data[:last] + 1_000 * data[last:end] + data[end:])
    with pytest.raises(PictureError, match=r"a.jpg.*drawn in 10\d\d passes, more than 200"):
        read_picture(path)
