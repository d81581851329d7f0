"""W-Sprites: the rules of its walks, its sheets and its frames."""

import hashlib
import itertools
import time
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from torch import Tensor
from torch.nn import functional as F

from mutoscope.data.video.sprites_world.drawn import drawn_layers
from mutoscope.data.video.sprites_world.render import Landscape, draw, landscape
from mutoscope.data.video.sprites_world.sheets import (
    ACTIONS,
    CELL,
    CHARACTERS,
    COLUMNS,
    LAYERS,
    ROWS,
    Character,
    Wardrobe,
    variants_of,
)
from mutoscope.data.video.sprites_world.walk import BACKGROUND_WALK, SPRITE_WALK, STAY, Script
from mutoscope.data.video.wsprites import WSprites


@pytest.fixture(scope="module")
def small() -> WSprites:
    data = WSprites(characters=2, videos=2, frames=20, length=5, batch_size=3)
    data.setup()
    return data


@pytest.fixture(scope="module")
def script() -> Script:
    return Script.written(np.arange(40), 5, 90, seed=3)


def test_characters_are_numbered_as_in_the_original() -> None:
    assert CHARACTERS == 1296
    assert variants_of(0) == (5, 5, 5, 5)
    assert variants_of(1295) == (0, 0, 0, 0)
    assert len({variants_of(n) for n in range(CHARACTERS)}) == CHARACTERS
    # body colour 0 never occurs in training, the test has nothing else
    assert all(variants_of(n)[0] > 0 for n in range(1037))
    assert all(variants_of(n)[0] == 0 for n in range(1167, 1296))


def test_splits_are_those_of_the_paper() -> None:
    data = WSprites()
    sizes = [len(data._chosen(split)) for split in ("train", "val", "test")]  # type: ignore[arg-type]
    assert sizes == [1037, 130, 129]
    assert data._chosen("val")[0] == 1037


def test_walks_keep_to_their_rules(script: Script) -> None:
    for position, walk in ((script.position, SPRITE_WALK), (script.background, BACKGROUND_WALK)):
        assert (position >= 0).all()
        assert (position < walk.range).all()
        steps = np.abs(np.diff(position, axis=1))
        assert steps.max() == walk.step
        assert ((steps > 0).sum(axis=2) <= 1).all(), "one axis at a time"
    stays = (script.direction == STAY).mean()
    assert 0.3 < stays < 0.5
    moved = np.diff(script.position, axis=1)
    right = script.direction[:, 1:] == 1
    assert (moved[right][:, 0] > 0).all()
    # who was not stopped by a wall goes on nine times of ten
    before, after = script.direction[:, :-1], script.direction[:, 1:]
    free = (before == 1) & (script.position[:, :-1, 0] < SPRITE_WALK.range[0] - 1)
    assert (after[free] == 1).mean() == pytest.approx(SPRITE_WALK.inertia, abs=0.02)


def test_actions_follow_the_walk(script: Script) -> None:
    for direction, action in ((0, 1), (1, 2), (2, 0), (3, 0)):
        assert (script.action[script.direction == direction] == action).all()
    assert set(np.unique(script.action[script.direction == STAY])) == {3, 4, 5, 6, 7, 8}


def test_a_standing_action_begins_at_its_first_frame_and_is_followed_by_another(script: Script) -> None:
    for actions, cycles in zip(script.action[:50], script.cycle[:50], strict=True):
        run = 0
        for t, action in enumerate(actions):
            if action < 3:
                run = 0
                continue
            same = t > 0 and actions[t - 1] == action and cycles[t] == cycles[t - 1] + 1
            run = run + 1 if same else 1
            assert cycles[t] == run - 1
            assert run <= 8
            if not same and t > 0 and actions[t - 1] >= 3:
                assert actions[t - 1] != action


def test_every_walk_goes_on_in_its_own_cycle(script: Script) -> None:
    for actions, cycles in zip(script.action[:50], script.cycle[:50], strict=True):
        for walk in range(3):
            played = cycles[actions == walk]
            assert (played == np.arange(len(played)) % 8).all()


def test_the_example_of_the_original_keeps_to_the_same_rules(golden_dir: Path) -> None:
    path = golden_dir / "glass" / "wsprites.safetensors"
    if not path.is_file():
        pytest.skip("no recorded wsprites")
    known = load_file(path)
    position, direction = known["out/example_xy"], known["out/example_walk_direction"]
    action, cycle = known["out/example_local_action"], known["out/example_cycle_index"]
    steps = np.diff(position, axis=0)
    assert np.abs(steps).max() <= SPRITE_WALK.step
    np.testing.assert_allclose(known["out/example_sprite_shift_label"][1:], steps * 2 / SPRITE_WALK.range, atol=1e-6)
    crops = np.diff(known["out/example_background_xy"], axis=0)
    np.testing.assert_allclose(
        known["out/example_background_shift_label"][1:], crops * 2 / BACKGROUND_WALK.range, atol=1e-6
    )
    assert all(a == {0: 1, 1: 2, 2: 0, 3: 0}[d] for a, d in zip(action, direction, strict=True) if d != STAY)
    assert ((action >= 3) == (direction == STAY)).all()
    for walk in range(3):
        played = cycle[action == walk]
        assert (played == np.arange(len(played)) % 8).all()


def test_frames_and_masks_are_the_originals(golden_dir: Path) -> None:
    path = golden_dir / "glass" / "wsprites.safetensors"
    if not path.is_file():
        pytest.skip("no recorded wsprites")
    known = load_file(path)
    cells = known["in/sprite_frames"]
    n = len(cells)
    colours = cells - (cells > 0)
    character = Character(colours[None], (cells > 0).any(-1)[None])
    scenery = Landscape(known["in/background"])
    background = np.stack([scenery.view(int(x), int(y)) for x, y in known["in/background_xy"]])
    place = (np.zeros(n, np.int64), np.arange(n))
    frames, masks = draw(character, place, known["in/sprite_xy"], background, legacy_mask=True)
    # Lanczos differs by a grey level or two between versions of Pillow
    assert np.abs(frames.astype(int) - known["out/frames"]).max() <= 2
    assert (masks == known["out/masks"]).all()


def test_characters_of_real_sheets_are_the_originals(shared_dir: Path, golden_dir: Path) -> None:
    sheets, path = shared_dir / "data" / "lpc_sprites", golden_dir / "glass" / "wsprites.safetensors"
    if not sheets.is_dir() or not path.is_file():
        pytest.skip("no sheets or digests")
    known, wardrobe = load_file(path), Wardrobe.read(sheets)
    digests = {key.removeprefix("out/sha256_"): value for key, value in known.items() if "sha256" in key}
    assert digests
    for variants, digest in digests.items():
        number = next(n for n in range(CHARACTERS) if "".join(map(str, variants_of(n))) == variants)
        assert hashlib.sha256(wardrobe.character(number).colours.tobytes()).digest() == digest.tobytes()
        picture = sheets / "expected" / f"character_{variants}.png"
        expected = np.asarray(Image.open(picture).convert("RGB"))
        mine = wardrobe.character(number).colours.swapaxes(1, 2).reshape(expected.shape)
        assert (mine == expected).all()


def test_drawn_characters_differ_and_move() -> None:
    layers = drawn_layers()
    assert {name: len(layer) for name, layer in layers.items()} == {**dict.fromkeys(LAYERS, 6), "shoes": 1}
    wardrobe = Wardrobe.drawn()
    a, b = wardrobe.character(0), wardrobe.character(777)
    assert a.colours.shape == (len(ACTIONS), 8, CELL, CELL, 3)
    assert (a.colours != b.colours).any(-1).mean() > 0.1
    for action in range(len(ACTIONS)):
        seen = {cell.tobytes() for cell in a.colours[action]}
        assert len(seen) >= 4, ACTIONS[action][0]
        share = a.solid[action].mean()
        assert 0.1 < share < 0.4
    assert (a.colours[~a.solid] == 0).all()


def test_clips_say_what_happens_in_them(small: WSprites) -> None:
    data = small.dataset("train")
    batch = data.__getitems__([0, 7, len(data) - 1])
    assert batch.frames.shape == (3, 5, 3, 96, 128)
    assert batch.frames.dtype == torch.uint8
    assert batch.masks is not None
    assert batch.shifts is not None
    assert batch.background_shifts is not None
    assert batch.actions is not None
    assert torch.equal(batch.actions[:, 0], data.label[[0, 7, len(data) - 1]])
    # masks move as the shifts say, where the pose stays near
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    inside = (batch.masks[:, :, 0] > 0).float()
    centre = torch.stack([(inside * axis).sum((2, 3)) / inside.sum((2, 3)) for axis in (columns, rows)], dim=-1)
    # arms and legs move the centre as well
    assert (centre.diff(dim=1) - batch.shifts).abs().amax((0, 1)).tolist() < [4, 6]
    assert set(batch.masks.unique().tolist()) == {0, 255}
    # the background moves as it says: shifting it back by whole pixels gives nearly the same picture
    assert batch.background_shifts.abs().max() <= 1.0
    assert torch.equal(data.video(0).frames[:, :5], data.__getitems__([0]).frames)


def test_smaller_frames_move_by_smaller_shifts(small: WSprites) -> None:
    half = WSprites(characters=2, videos=2, frames=20, length=5, shrink=2)
    half.setup()
    assert half.info.frame_size == (48, 64)
    a, b = small.dataset("val").__getitems__([3]), half.dataset("val").__getitems__([3])
    assert a.shifts is not None
    assert b.shifts is not None
    assert torch.equal(a.shifts, 2 * b.shifts)
    mean = a.frames.float().unflatten(3, (48, 2)).unflatten(5, (64, 2)).mean((4, 6))
    assert (mean - b.frames).abs().max() <= 0.5


def test_videos_do_not_depend_on_who_else_is_there() -> None:
    few, many = Script.written(np.array([4]), 3, 12, 0), Script.written(np.array([2, 4, 9]), 3, 12, 0)
    assert (few.position == many.position[3:6]).all()
    assert (few.cycle == many.cycle[3:6]).all()
    assert not (Script.written(np.array([4]), 3, 12, 1).position == few.position).all()


def test_loaders_resume_where_they_were(small: WSprites) -> None:
    whole = [batch.frames for batch, _ in zip(small.train_dataloader(), range(4), strict=False)]
    again = WSprites(characters=2, videos=2, frames=20, length=5, batch_size=3)
    again.setup()
    again.start_sample = 2 * 3
    rest = [batch.frames for batch, _ in zip(again.train_dataloader(), range(2), strict=False)]
    for mine, theirs in zip(rest, whole[2:], strict=True):
        assert torch.equal(mine, theirs)


def test_any_picture_may_be_the_background(tmp_path: Path) -> None:
    path = tmp_path / "wall.png"
    Image.new("RGB", (300, 40), (10, 200, 30)).save(path)
    data = WSprites(characters=1, videos=1, frames=3, length=3, background=str(path))
    data.setup()
    clip = data.dataset("test").video(0)
    assert clip.masks is not None
    outside = clip.frames.movedim(2, -1)[clip.masks[:, :, 0] == 0]
    assert (outside == torch.tensor([10, 200, 30], dtype=torch.uint8)).all()
    assert data.fingerprint != WSprites(characters=1, videos=1, frames=3, length=3).fingerprint


def test_what_is_missing_or_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no sheet .*body/0\.png; expected body/0\.\.5\.png"):
        WSprites(sheets=str(tmp_path)).setup()
    (tmp_path / "body").mkdir()
    Image.new("RGBA", (64, 64)).save(tmp_path / "body" / "0.png")
    with pytest.raises(ValueError, match=f"has 64x64 pixels, expected {COLUMNS * CELL}x{ROWS * CELL}"):
        WSprites(sheets=str(tmp_path)).setup()
    (tmp_path / "body" / "0.png").write_text("no picture")
    with pytest.raises(ValueError, match="is no picture that can be read"):
        WSprites(sheets=str(tmp_path)).setup()
    for settings, message in (
        ({"length": 100}, "expected 2 <= length <= frames"),
        ({"shrink": 3}, "expected 1, 2 or 4"),
        ({"videos": 0}, "videos is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            WSprites(**settings)  # type: ignore[arg-type]


def test_the_whole_index_is_made_in_seconds() -> None:
    began = time.process_time()
    script = Script.written(np.arange(0, CHARACTERS, 8), 10, 90, 1543)
    assert script.action.shape == (1620, 90)
    # an eighth of it; the limit is generous, minutes were asked for
    assert time.process_time() - began < 30
    assert landscape().shape == (256, 256, 3)


def test_characters_on_whole_pixels_look_alike_wherever_they_stand() -> None:
    def apart(*, whole_pixels: bool) -> float:
        data = WSprites(shrink=2, whole_pixels=whole_pixels, characters=2, videos=2, frames=30, length=2)
        data.setup()
        clips, differences = data.dataset("val"), []
        for number in range(clips.videos):
            video, script = clips.video(number), clips.script
            shown, masks = video.frames[0].float(), cast(Tensor, video.masks)[0] > 0
            # the same frame of the same walk at two places; what is covered by halves shows the landscape
            inner = -F.max_pool2d(-masks.float(), 3, 1, 1) > 0
            poses = list(zip(script.action[number], script.cycle[number], strict=True))
            for a, b in itertools.combinations(range(len(poses)), 2):
                if poses[a] != poses[b]:
                    continue
                right, down = ((script.position[number, b] - script.position[number, a]) / 2).round().astype(int)
                moved = shown[a].roll((down, right), (1, 2))
                both = inner[a].roll((down, right), (1, 2)) & inner[b]
                differences.append(float((moved - shown[b]).abs()[both.expand(3, -1, -1)].mean()))
        return float(np.mean(differences))

    # not 0: through hair one sees a little of the landscape
    assert apart(whole_pixels=True) < 0.02 * apart(whole_pixels=False)
    assert WSprites(shrink=2, whole_pixels=True).fingerprint != WSprites(shrink=2).fingerprint


def test_the_landscape_is_drawn_once_and_stays_as_it_is() -> None:
    valley = landscape()
    assert landscape() is valley
    with pytest.raises(ValueError, match="read-only"):
        valley[0] = 0


def test_a_tilde_is_ones_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    data = WSprites(sheets="~/sheets", background="~/valley.png")
    assert (data.sheets, data.background) == (tmp_path / "sheets", tmp_path / "valley.png")
