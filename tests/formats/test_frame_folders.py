"""Folders of frames, named as people and programs name them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mutoscope.formats.frame_folders import FrameFolderError, folder_frames, frame_files, probe_folder


def write(folder: Path, *names: str) -> Path:
    """Pictures whose red grows by 5 from one name to the next."""
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        Image.new("RGB", (8, 6), (5 * i, 0, 0)).save(folder / name)
    return folder


@pytest.mark.parametrize("pattern", ["{}.png", "{:04d}.png", "frame{}.png", "img_{:02d}_a.png", "v12-{}.PNG"])
def test_frames_come_as_people_count(tmp_path: Path, pattern: str) -> None:
    folder = write(tmp_path / "f", *(pattern.format(number) for number in range(1, 31)))
    for junk in ("._" + pattern.format(3), ".DS_Store", "Thumbs.db", "notes.txt", ".0031.png"):
        (folder / junk).write_bytes(b"junk")
    assert [frame[0, 0, 0] for frame in folder_frames(folder)] == [5 * i for i in range(30)]
    assert probe_folder(folder) == (8, 6, 30)


def test_pictures_without_numbers_come_by_the_alphabet(tmp_path: Path) -> None:
    assert [file.name for file in frame_files(write(tmp_path / "f", "b.png", "a.png"))] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["0001.jpg", "0001.png"], r"0001\.jpg and 0001\.png are the same frame; remove one"),
        (["1.png", "01.png", "2.png"], "are the same frame"),
        (["a.png", "a.jpg"], r"a\.jpg and a\.png are the same frame"),
        (["frame1.png", "thumb1.png"], r"frame1\.png and thumb1\.png are named differently"),
        (["1.png", "cover.png"], "named differently"),
        ([], "holds no pictures"),
    ],
)
def test_one_picture_a_number(tmp_path: Path, names: list[str], said: str) -> None:
    with pytest.raises(FrameFolderError, match=said):
        frame_files(write(tmp_path / "f", *names))


def test_frames_that_others_count_have_no_gaps(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", "1.png", "2.png", "10.png")
    assert [file.stem for file in frame_files(folder)] == ["1", "2", "10"]
    with pytest.raises(FrameFolderError, match=r"before 10\.png, frame 3 is missing"):
        probe_folder(folder)
    with pytest.raises(FrameFolderError, match=r"first frame is 2\.png, expected number 0 or 1"):
        probe_folder(write(tmp_path / "g", "2.png", "3.png"))
    assert probe_folder(write(tmp_path / "h", "0.png", "1.png")) == (8, 6, 2)


def test_frames_of_a_video_have_one_size(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", "1.png", "2.png")
    Image.new("RGB", (9, 6)).save(folder / "2.png")
    with pytest.raises(FrameFolderError, match=r"2\.png has 9x6 pixels, the frames before it 8x6"):
        list(folder_frames(folder))
    with pytest.raises(FrameFolderError, match="cannot be listed"):
        frame_files(tmp_path / "none")


def test_frames_are_turned_as_their_flags_say(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    shown = np.arange(48, dtype=np.uint8).reshape(6, 8)
    Image.fromarray(shown).save(tmp_path / "f" / "1.png", exif=exif)
    assert probe_folder(tmp_path / "f") == (6, 8, 1)
    np.testing.assert_array_equal(next(folder_frames(tmp_path / "f"))[..., 0], shown.T[:, ::-1])
