import dataclasses
import math

import numpy as np
import pytest
import torch

from mutoscope.render.camera import FOLLOWING, FRONT, Bounds, Camera, to_world, track
from mutoscope.render.canvas import fit_text, font, grid, nice_length
from mutoscope.render.skeleton import draw_motion, draw_strobe, key_frames, tips
from mutoscope.structures import H36M16, NTU25


def pixels_of(side: str, picture: np.ndarray) -> np.ndarray:
    """``[n, 2]`` (row, column) of the pixels whose colour leans to a side's."""
    red, blue = picture[..., 0].astype(int), picture[..., 2].astype(int)
    return np.argwhere(blue - red > 60 if side == "left" else red - blue > 60)


def figure_rows(picture: np.ndarray) -> int:
    rows = np.concatenate([pixels_of("left", picture), pixels_of("right", picture)])[:, 0]
    return int(np.ptp(rows))


def test_left_is_blue_and_at_the_right_of_a_person_who_faces_us(walk) -> None:
    picture = draw_motion(walk(1), H36M16, camera=FRONT)[0]
    left, right = pixels_of("left", picture), pixels_of("right", picture)
    assert min(len(left), len(right)) > 100
    assert left[:, 1].min() > right[:, 1].max() - 12
    assert left[:, 1].mean() > 100 > right[:, 1].mean()


def test_chosen_frames_are_those_of_the_whole_clip(walk) -> None:
    clip = walk(6)
    everything = draw_motion(clip, H36M16, size=(64, 64), trail=2)
    np.testing.assert_array_equal(
        draw_motion(clip, H36M16, size=(64, 64), trail=2, shown=[0, 3, 5]), everything[[0, 3, 5]]
    )


def test_left_changes_sides_when_seen_from_behind(walk) -> None:
    picture = draw_motion(walk(1), H36M16, camera=Camera(azimuth=180, elevation=0))[0]
    assert pixels_of("left", picture)[:, 1].mean() < pixels_of("right", picture)[:, 1].mean()


def test_from_the_left_hand_a_person_faces_left_and_the_left_arm_is_in_front(walk) -> None:
    clip = walk(1)
    shift = clip.copy()
    shift[..., 2] += 1.0
    bounds = Bounds.around([clip, shift], H36M16)
    camera = Camera(azimuth=90, elevation=0, distance=math.inf)
    before, after = (draw_motion(c, H36M16, camera=camera, bounds=bounds)[0] for c in (clip, shift))
    assert pixels_of("left", after)[:, 1].mean() < pixels_of("left", before)[:, 1].mean() - 20
    assert len(pixels_of("left", before)) > 2 * len(pixels_of("right", before))


def test_camera_axes_are_a_right_handed_frame() -> None:
    axes = Camera(azimuth=33, elevation=21).axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(axes[0], axes[1]), axes[2], atol=1e-12)
    np.testing.assert_allclose(FRONT.axes, np.eye(3), atol=1e-12)


def test_up_axis_two_is_drawn_like_up_axis_one(walk) -> None:
    clip = walk(3)
    z_up = dataclasses.replace(H36M16, up_axis=2)
    turned = np.stack([clip[..., 0], -clip[..., 2], clip[..., 1]], axis=-1)
    np.testing.assert_allclose(to_world(turned, z_up), clip)
    np.testing.assert_array_equal(draw_motion(turned, z_up), draw_motion(clip, H36M16))


def test_two_dimensional_clips_are_seen_from_the_front_whatever_the_camera(walk) -> None:
    clip = walk(2)[..., :2]
    a = draw_motion(clip, H36M16, camera=Camera(azimuth=70, elevation=40))
    np.testing.assert_array_equal(a, draw_motion(clip, H36M16))
    assert pixels_of("left", a[0])[:, 1].mean() > pixels_of("right", a[0])[:, 1].mean()


def test_tensors_and_arrays_give_the_same_frames(walk) -> None:
    clip = walk(3)
    frames = draw_motion(clip, H36M16, size=(90, 120), title="walk", source="real", trail=2)
    assert frames.shape == (3, 90, 120, 3)
    assert frames.dtype == np.uint8
    tensor = torch.from_numpy(clip).requires_grad_()
    np.testing.assert_array_equal(
        draw_motion(tensor, H36M16, size=(90, 120), title="walk", source="real", trail=2), frames
    )


def test_shared_bounds_keep_sizes_comparable(walk) -> None:
    adult = walk(6)
    child = 0.5 * adult
    shared = Bounds.around([adult, child], H36M16)
    high, low = (figure_rows(draw_motion(c, H36M16, bounds=shared, camera=FRONT)[0]) for c in (adult, child))
    assert low == pytest.approx(high / 2, abs=5)
    alone = figure_rows(draw_motion(child, H36M16, camera=FRONT)[0])
    assert alone > 1.5 * low


def test_bounds_hold_every_joint_and_the_stature_does_not_depend_on_the_pose(walk) -> None:
    clips = [walk(5), walk(9, travel=2.0)]
    bounds = Bounds.around(clips, H36M16)
    for clip in clips:
        assert (clip >= bounds.low - 1e-6).all()
        assert (clip <= bounds.high + 1e-6).all()
    lying = clips[0][..., [1, 0, 2]]
    assert Bounds.around([lying], H36M16).stature == pytest.approx(Bounds.around([clips[0]], H36M16).stature, rel=1e-6)
    assert 1.5 < bounds.stature < 1.9
    assert bounds.floor == pytest.approx(0.0, abs=1e-6)


def test_one_wild_clip_does_not_move_the_floor(walk) -> None:
    wild = walk(4)
    wild[2, 3, 1] = -5.0
    assert Bounds.around([walk(4), walk(4), wild], H36M16).floor == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("azimuth", [0, 35, 90, 200])
def test_nothing_is_drawn_outside_the_picture(walk, azimuth: float) -> None:
    for camera in (Camera(azimuth=azimuth), Camera(azimuth=azimuth, follow=True)):
        frames = draw_motion(walk(8, travel=1.5), H36M16, camera=camera)
        for side in ("left", "right"):
            for frame in frames:
                spots = pixels_of(side, frame)
                assert spots.min() > 1
                assert spots.max() < 198


def test_a_following_camera_keeps_the_person_in_the_middle_and_larger(walk) -> None:
    clip = walk(16, travel=4.0)
    side = dataclasses.replace(FOLLOWING, azimuth=90.0)
    following = draw_motion(clip, H36M16, camera=side)
    standing = draw_motion(clip, H36M16, camera=dataclasses.replace(side, follow=False))

    def middle(frame: np.ndarray) -> float:
        return float(np.concatenate([pixels_of("left", frame), pixels_of("right", frame)])[:, 1].mean())

    assert abs(middle(following[12]) - middle(following[4])) < 25
    assert abs(middle(standing[12]) - middle(standing[4])) > 40
    assert figure_rows(following[8]) > 1.5 * figure_rows(standing[8])


def test_tracking_follows_the_ground_and_leaves_height_alone(walk) -> None:
    world = to_world(walk(20, travel=4.0), H36M16)
    path = track(world, H36M16)
    assert (path[:, 1] == 0).all()
    np.testing.assert_allclose(path[6:14], world[6:14, H36M16.root] * (1, 0, 1), atol=1e-6)
    assert (track(world, H36M16, follow=False) == 0).all()
    assert track(world[:1], H36M16).shape == (1, 3)


def test_real_and_generated_are_told_apart_by_paper_and_frame(walk) -> None:
    real, generated, bare = (
        draw_motion(walk(1), H36M16, source=source, framed=framed)[0]
        for source, framed in (("real", True), ("generated", True), ("generated", False))
    )
    assert real[20, 20].tolist() == [255, 255, 255]
    assert generated[20, 20, 2] < 240
    assert len(np.unique(real[0], axis=0)) == 1
    assert len(np.unique(generated[0], axis=0)) > 1
    assert bare[0, 0].tolist() == bare[20, 20].tolist()


def test_a_trail_shows_where_hands_were(walk) -> None:
    clip = walk(8)
    without, with_trail = draw_motion(clip, H36M16), draw_motion(clip, H36M16, trail=4)
    np.testing.assert_array_equal(without[0], with_trail[0])
    assert len(pixels_of("left", with_trail[5])) > len(pixels_of("left", without[5]))


def test_one_tip_per_limb() -> None:
    assert {H36M16.joints[j] for j in tips(H36M16)} == {
        "head", "left_wrist", "right_wrist", "left_foot", "right_foot",
    }  # fmt: skip
    assert len(tips(NTU25)) == 5


def test_a_strobe_fades_early_poses(walk) -> None:
    clip = walk(9, travel=3.0)
    picture = draw_strobe(clip, H36M16, poses=3, camera=Camera(azimuth=90, elevation=0), size=(200, 400))
    dark = np.argwhere(picture.max(-1) < 140)
    assert picture.shape == (200, 400, 3)
    # Seen from the left hand, the walk along +z goes to the left, where the last and darkest pose stands.
    assert dark[:, 1].max() < 200


@pytest.mark.parametrize(
    ("length", "count", "expected"), [(9, 3, [0, 4, 8]), (3, 8, [0, 1, 2]), (1, 4, [0]), (10, 1, [0])]
)
def test_key_frames(length: int, count: int, expected: list[int]) -> None:
    assert key_frames(length, count) == expected


def test_grid_places_videos_and_holds_the_last_frame_of_short_ones() -> None:
    videos = [np.full((t, 20, 30, 3), 10 * (i + 1), np.uint8) for i, t in enumerate((4, 2, 4))]
    videos[1][1] = 200
    page = grid(videos, columns=2, gap=5)
    assert page.shape == (4, 2 * 20 + 3 * 5, 2 * 30 + 3 * 5, 3)
    assert (page[:, 5:25, 5:35] == 10).all()
    assert (page[0, 5:25, 40:70] == 20).all()
    assert (page[1:, 5:25, 40:70] == 200).all()
    assert (page[:, 30:50, 5:35] == 30).all()
    assert (page[:, 30:50, 40:70] == 255).all()
    titled = grid(videos, ["a", "b", "c"], columns=3)
    assert (titled[0, :24].min(axis=(0, 2))[6:36] < 150).any()


def test_long_titles_are_shortened_to_fit() -> None:
    short = fit_text("a very long class name indeed", 60, 12)
    assert short.startswith("a ver")
    assert short.endswith("...")
    assert font(12).getlength(short) <= 60
    assert fit_text("walk", 60, 12) == "walk"


@pytest.mark.parametrize(("length", "expected"), [(0.43, 0.5), (1.0, 1.0), (1.2, 2.0), (7.0, 10.0), (0.0021, 0.005)])
def test_nice_lengths(length: float, expected: float) -> None:
    assert nice_length(length) == pytest.approx(expected)


def test_wrong_input_is_named(walk) -> None:
    clip = walk(4)
    with pytest.raises(ValueError, match=r"shape \[4, 16, 3\], expected \[t, 25, 2 or 3\] for skeleton 'ntu25'"):
        draw_motion(clip, NTU25)
    with pytest.raises(ValueError, match=r"shape \[16, 3\]"):
        draw_motion(clip[0], H36M16)
    with pytest.raises(ValueError, match=r"shape \[0, 16, 3\]"):
        draw_motion(clip[:0], H36M16)
    broken = clip.copy()
    broken[2, 5, 1] = np.nan
    with pytest.raises(ValueError, match=r"not finite \(first in frame 2.*diverged"):
        draw_motion(broken, H36M16)
    with pytest.raises(ValueError, match="10 x 200 pixels are too small"):
        draw_motion(clip, H36M16, size=(10, 200))
    with pytest.raises(ValueError, match="distance is 1"):
        Camera(distance=1.0)
    with pytest.raises(ValueError, match="at least one clip"):
        Bounds.around([], H36M16)
    with pytest.raises(ValueError, match="videos of one size"):
        grid([np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 5, 4, 3), np.uint8)])
    with pytest.raises(ValueError, match="1 titles for 2 videos"):
        grid([np.zeros((1, 4, 4, 3), np.uint8)] * 2, ["a"])
    with pytest.raises(ValueError, match="got 0 videos"):
        grid([])
    with pytest.raises(ValueError, match="0 key frames of 4"):
        key_frames(4, 0)


def test_a_frozen_point_is_still_a_picture() -> None:
    frames = draw_motion(np.zeros((2, 16, 3), np.float32), H36M16)
    assert frames.shape == (2, 200, 200, 3)
