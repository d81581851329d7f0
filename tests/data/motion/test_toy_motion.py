"""``toy_motion``: bodies that could be human, actions that can be told apart, clips that can be drawn again."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mutoscope.data.datamodule import Split
from mutoscope.data.motion.toy_motion import ToyMotion
from mutoscope.data.motion.toy_people import ACTIONS, WORLD_VERSION, perform
from mutoscope.data.motion.toy_people.body import two_bones
from mutoscope.data.motion.toy_people.curves import keyed, looped
from mutoscope.data.registry import datamodule_class
from mutoscope.structures import H36M16, NTU25, MotionBatch

Array = NDArray[np.float64]
FPS = 30.0
PEOPLE = 48
LEGS = ("left", "right")
#: head and left wrist of the second person in frame 20, world version 1
GOLDEN = {
    "walk": (-0.611, 1.653, 0.856, -0.636, 0.972, 1.216),
    "run": (-1.829, 1.507, -1.142, -2.040, 1.045, -1.083),
    "jump": (0.176, 1.854, 0.073, 0.647, 2.032, -0.134),
    "wave": (0.059, 1.454, 0.015, 0.039, 1.553, -0.343),
    "kick": (-0.057, 1.721, -0.105, -0.425, 1.384, -0.598),
    "punch": (0.202, 1.645, 0.095, 0.755, 1.304, 0.035),
    "throw": (-0.314, 1.509, 0.184, -0.503, 1.565, 0.724),
    "clap": (-0.048, 1.708, -0.069, -0.449, 1.258, -0.113),
    "sit_down": (-0.333, 1.299, 0.007, 0.039, 0.752, -0.237),
    "stand_up": (-0.017, 1.396, -0.106, -0.203, 0.677, -0.147),
    "squat": (0.190, 1.050, 0.037, 0.625, 0.724, -0.093),
    "turn": (-0.083, 1.668, -0.021, -0.384, 0.965, 0.119),
}


@pytest.fixture(scope="module")
def world() -> dict[str, Array]:
    """``[n, t, v, 3]`` per action, everybody starting towards +z."""
    return {
        name: perform(name, PEOPLE, 32, FPS, (7, 0, i), heading=0.0).astype(np.float64)
        for i, name in enumerate(ACTIONS)
    }


def joint(clips: Array, name: str) -> Array:
    return clips[:, :, NTU25.index(name)]


def angle(a: Array, b: Array) -> Array:
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return np.degrees(np.arccos(cosine.clip(-1.0, 1.0)))


def towards(clips: Array, left: str = "left_hip", right: str = "right_hip") -> Array:
    """Horizontal direction in which the person looks, ``[n, t, 3]``."""
    forward = np.cross(joint(clips, left) - joint(clips, right), [0.0, 1.0, 0.0])
    return forward / np.linalg.norm(forward, axis=-1, keepdims=True)


def everything(data: ToyMotion, split: Split) -> MotionBatch:
    items = data.dataset(split)
    return items.__getitems__(list(range(len(items))))


def nearest_centroid_accuracy(data: ToyMotion) -> float:
    data.setup()
    train, val = everything(data, "train"), everything(data, "val")
    x, y = train.joints.flatten(1), train.label
    centroids = torch.stack([x[y == k].mean(dim=0) for k in range(len(data.classes))])
    found = torch.cdist(val.joints.flatten(1), centroids).argmin(dim=1)
    return float((found == val.label).double().mean())


# the body


@pytest.mark.parametrize("action", ACTIONS)
def test_bones_are_rigid_and_alike_on_both_sides(world: dict[str, Array], action: str) -> None:
    clips = world[action]
    length = {(p, c): np.linalg.norm(clips[:, :, c] - clips[:, :, p], axis=-1) for p, c in NTU25.bones}
    assert max(values.std(axis=1).max() for values in length.values()) < 1e-5
    mirror = dict(NTU25.mirror)
    for (parent, child), values in length.items():
        if child in mirror:
            other = length[mirror.get(parent, parent), mirror[child]]
            np.testing.assert_allclose(values, other, atol=1e-5)


@pytest.mark.parametrize("action", ACTIONS)
def test_bones_of_the_small_skeleton_are_rigid(action: str) -> None:
    data = ToyMotion(skeleton="h36m16", classes=[action], clips_per_class=8, val_clips_per_class=1)
    data.setup()
    clips = everything(data, "train").joints
    for parent, child in H36M16.bones:
        assert (clips[:, :, child] - clips[:, :, parent]).norm(dim=-1).std(dim=1).max() < 1e-5


def test_people_differ_in_size_within_human_bounds() -> None:
    standing = perform("wave", 400, 32, FPS, (3, 0, 3), heading=0.0)[:, -1, NTU25.index("head"), 1]
    # the head joint lies about 7 % of the height below the crown
    assert standing.min() > 0.90 * 1.50
    assert standing.max() < 0.96 * 1.95
    assert standing.std() > 0.04


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_passes_through_the_floor(world: dict[str, Array], action: str) -> None:
    assert world[action][..., 1].min() > -0.02
    feet = np.stack([joint(world[action], f"{side}_{name}") for side in LEGS for name in ("foot", "ankle")])
    if action not in ("jump", "run"):
        # somebody who does not fly touches the floor at any time
        assert feet[..., 1].min(axis=0).max() < 0.06


@pytest.mark.parametrize("action", ACTIONS)
def test_knees_bend_forward(world: dict[str, Array], action: str) -> None:
    clips = world[action]
    axis = joint(clips, "left_hip") - joint(clips, "right_hip")
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    for side in LEGS:
        hip, knee, ankle = (joint(clips, f"{side}_{name}") for name in ("hip", "knee", "ankle"))
        line = (ankle - hip) / np.linalg.norm(ankle - hip, axis=-1, keepdims=True)
        # the front of a hanging leg points forward, that of a leg raised forward points up
        front = np.cross(line, axis)
        assert ((knee - hip) * front).sum(-1).min() > 0.0
        assert angle(knee - hip, ankle - knee).max() < 150.0


@pytest.mark.parametrize("action", ACTIONS)
def test_elbows_bend_within_human_bounds(world: dict[str, Array], action: str) -> None:
    for side in LEGS:
        shoulder, elbow, wrist = (joint(world[action], f"{side}_{name}") for name in ("shoulder", "elbow", "wrist"))
        flexion = angle(elbow - shoulder, wrist - elbow)
        # straighter than this, the side to which the elbow bends would be undefined
        assert flexion.min() > 5.0
        assert flexion.max() < 155.0


@pytest.mark.parametrize("action", ["walk", "run", "turn", "squat", "sit_down"])
def test_elbows_of_hanging_arms_point_back(world: dict[str, Array], action: str) -> None:
    clips = world[action]
    forward = towards(clips, "left_shoulder", "right_shoulder")
    for side in LEGS:
        shoulder, elbow, wrist = (joint(clips, f"{side}_{name}") for name in ("shoulder", "elbow", "wrist"))
        flexing = (wrist - elbow) / np.linalg.norm(wrist - elbow, axis=-1, keepdims=True) - (
            elbow - shoulder
        ) / np.linalg.norm(elbow - shoulder, axis=-1, keepdims=True)
        hanging = (shoulder - elbow)[..., 1] > 0.2
        assert ((flexing * forward).sum(-1)[hanging]).min() > 0.0


@pytest.mark.parametrize("action", ACTIONS)
def test_people_are_upright_and_their_left_is_left(world: dict[str, Array], action: str) -> None:
    clips = world[action]
    assert (joint(clips, "head") - joint(clips, "base_spine"))[..., 1].min() > 0.3
    assert (joint(clips, "left_hip") - joint(clips, "right_hip"))[:, 0, 0].min() > 0.05
    toes = joint(clips, "left_foot") + joint(clips, "right_foot")
    ankles = joint(clips, "left_ankle") + joint(clips, "right_ankle")
    assert ((toes - ankles)[:, 0] * towards(clips)[:, 0]).sum(-1).min() > 0.0


@pytest.mark.parametrize("action", ACTIONS)
def test_motion_is_smooth(world: dict[str, Array], action: str) -> None:
    acceleration = np.linalg.norm(np.diff(world[action], n=2, axis=1), axis=-1) * FPS**2
    arm = ("elbow", "wrist", "hand", "thumb")
    arms = [j for j, name in enumerate(NTU25.joints) if any(part in name for part in arm)]
    others = [j for j in range(NTU25.num_joints) if j not in arms]
    # hands that strike or throw reach some 50 g; anything that jumps by 0.25 m between two frames shows 225 m/s^2
    assert acceleration[..., others].max() < 220.0
    assert acceleration[..., arms].max() < 550.0


def test_two_bones_keep_their_lengths_and_end_at_the_target() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(size=(200, 3))
    target *= (rng.uniform(0.1, 2.0, 200) / np.linalg.norm(target, axis=1))[:, None]
    first, second = np.full(200, 0.5), np.full(200, 0.4)
    middle, end = two_bones(np.zeros((200, 3)), target, first, second, rng.normal(size=(200, 3)))
    np.testing.assert_allclose(np.linalg.norm(middle, axis=1), 0.5, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(end - middle, axis=1), 0.4, atol=1e-9)
    distance = np.linalg.norm(target, axis=1)
    within = (distance > 0.12) & (distance < 0.98 * 0.9)
    np.testing.assert_allclose(end[within], target[within], atol=1e-9)
    np.testing.assert_allclose(np.cross(end, target), 0.0, atol=1e-9)


def test_curves_pass_their_keys_and_do_not_overshoot() -> None:
    knots, values = [0.0, 0.2, 0.7, 1.0], [0.0, 1.0, 0.4, 0.4]
    np.testing.assert_allclose(keyed(np.array([knots]), knots, values), [values], atol=1e-12)
    dense = keyed(np.linspace(-1.0, 2.0, 301)[None], knots, values)
    assert dense.min() >= 0.0
    assert dense.max() <= 1.0
    assert dense[0, -1] == pytest.approx(0.4)
    cycle = looped(np.linspace(-3.0, 3.0, 61)[None], [0.1, 0.5, 0.8], [0.0, 1.0, -1.0])
    np.testing.assert_allclose(cycle[:, :10], cycle[:, 50:60], atol=1e-9)


# the actions


@pytest.mark.parametrize(
    ("action", "slowest", "fastest"),
    [("walk", 1.0, 1.6), ("run", 2.5, 3.5), ("jump", 0.0, 0.35), ("throw", 0.15, 0.5)]
    + [("sit_down", 0.25, 0.6), ("stand_up", 0.25, 0.6)]
    + [(name, 0.0, 0.1) for name in ("wave", "kick", "punch", "clap", "squat", "turn")],
)
def test_root_speed(world: dict[str, Array], action: str, slowest: float, fastest: float) -> None:
    root = joint(world[action], "base_spine")[..., [0, 2]]
    speed = np.linalg.norm(root[:, -1] - root[:, 0], axis=-1) * FPS / 31
    assert speed.min() >= slowest
    assert speed.max() <= fastest


@pytest.mark.parametrize("action", ACTIONS)
def test_standing_feet_do_not_slip(world: dict[str, Array], action: str) -> None:
    for side in LEGS:
        toe = joint(world[action], f"{side}_foot")
        low = toe[..., 1] < 0.03
        stands = low[:, 1:-2] & low[:, 2:-1] & low[:, :-3] & low[:, 3:]
        slip = np.linalg.norm(np.diff(toe[..., [0, 2]], axis=1), axis=-1)[:, 1:-1] * FPS
        assert stands.sum() > 100
        assert np.quantile(slip[stands], 0.98) < 0.06


def test_walkers_always_stand_and_runners_fly(world: dict[str, Array]) -> None:
    def lowest(action: str) -> Array:
        return np.minimum(*(joint(world[action], f"{side}_foot")[..., 1] for side in LEGS))

    assert lowest("walk").max() < 0.05
    assert (lowest("run").max(axis=1) > 0.05).all()
    assert (lowest("jump").max(axis=1) > 0.12).all()


@pytest.mark.parametrize("action", ["walk", "run"])
def test_arms_swing_against_the_legs(world: dict[str, Array], action: str) -> None:
    clips = world[action]
    forward = towards(clips).mean(axis=1, keepdims=True)
    legs = ((joint(clips, "left_ankle") - joint(clips, "right_ankle")) * forward).sum(-1).ravel()
    arms = ((joint(clips, "left_wrist") - joint(clips, "right_wrist")) * forward).sum(-1).ravel()
    assert np.corrcoef(legs, arms)[0, 1] < -0.7


def test_every_action_does_what_its_name_says(world: dict[str, Array]) -> None:
    def rises(action: str, name: str) -> Array:
        return joint(world[action], name)[..., 1]

    both = {action: [joint(world[action], f"{side}_hand") for side in LEGS] for action in ACTIONS}
    # wave: one hand above the head
    top = np.maximum(both["wave"][0][..., 1], both["wave"][1][..., 1])
    assert (top[:, 12:] > rises("wave", "neck")[:, 12:]).all()
    # clap: the hands meet and part, left stays left
    apart = both["clap"][0] - both["clap"][1]
    distance = np.linalg.norm(apart, axis=-1)
    assert distance.min(axis=1).max() < 0.14
    assert distance.max(axis=1).min() > 0.25
    assert apart[..., 0].min() > 0.0
    tips = joint(world["clap"], "left_hand_tip") - joint(world["clap"], "right_hand_tip")
    assert tips[..., 0].min() > -0.02
    # punch, throw: a hand far ahead of the chest
    for action in ("punch", "throw"):
        ahead = [
            ((hand - joint(world[action], "shoulder_spine")) * [0.0, 0.0, 1.0]).sum(-1).max(axis=1)
            for hand in both[action]
        ]
        assert np.maximum(*ahead).min() > 0.5
    # kick: an ankle high and far ahead, the leg nearly straight
    best = np.zeros(PEOPLE)
    for side in LEGS:
        hip, knee, ankle = (joint(world["kick"], f"{side}_{name}") for name in ("hip", "knee", "ankle"))
        out = ((ankle - hip)[..., 2] > 0.5) & (ankle[..., 1] > 0.35) & (angle(knee - hip, ankle - knee) < 40.0)
        best += out.any(axis=1)
    assert (best == 1).all()
    # sitting down and standing up end where the other starts
    for start, end, action in ((0, -1, "sit_down"), (-1, 0, "stand_up")):
        pelvis = rises(action, "base_spine")
        assert (pelvis[:, start] - pelvis[:, end]).min() > 0.3
    # squat: down and up again
    pelvis = rises("squat", "base_spine")
    assert (pelvis[:, [0, -1]].min(axis=1) - pelvis.min(axis=1)).min() > 0.25
    # turn: by more than a right angle, to either side
    facing = towards(world["turn"])
    turned = angle(facing[:, 0], facing[:, -1])
    assert turned.min() > 100.0
    assert 0.2 < (np.cross(facing[:, 0], facing[:, -1])[:, 1] > 0).mean() < 0.8


def test_one_sided_actions_are_done_with_either_hand(world: dict[str, Array]) -> None:
    left, right = (joint(world["wave"], f"{side}_hand")[:, -1, 1] for side in LEGS)
    assert 0.2 < (left > right).mean() < 0.8


@pytest.mark.parametrize(
    "settings", [{}, {"skeleton": "h36m16"}, {"channels": 2}, {"root_rule": "none"}, {"variety": 2.0}]
)
def test_classes_are_told_apart_by_the_nearest_centroid(settings: dict[str, object]) -> None:
    assert nearest_centroid_accuracy(ToyMotion(clips_per_class=100, val_clips_per_class=25, **settings)) > 0.9  # type: ignore[arg-type]


@pytest.mark.parametrize(("length", "fps"), [(15, 30.0), (20, 15.0), (96, 30.0), (120, 120.0)])
def test_other_clip_lengths_and_frame_rates(length: int, fps: float) -> None:
    for i, action in enumerate(ACTIONS):
        clips = perform(action, 6, length, fps, (1, 0, i), heading=0.0)
        assert clips.shape == (6, length, 25, 3)
        assert np.isfinite(clips).all()
        assert clips[..., 1].min() > -0.02
    seated = perform("sit_down", 6, length, fps, (1, 0, 8))[:, :, 0, 1]
    assert (seated[:, 0] - seated[:, -1]).min() > 0.3


# the data set


def test_the_registry_knows_it() -> None:
    assert datamodule_class("toy_motion") is ToyMotion


def test_description_and_batches() -> None:
    data = ToyMotion(clips_per_class=6, val_clips_per_class=3, batch_size=8)
    data.prepare_data()
    data.setup()
    info = data.info
    assert info.name == "toy_motion"
    assert info.classes == tuple(ACTIONS)
    assert (info.length, info.fps, info.channels, info.units) == (32, 30.0, 3, "m")
    assert info.skeleton == NTU25
    assert len(data.dataset("train")) == 72
    assert len(data.dataset("val")) == 36
    batch = next(iter(data.train_dataloader()))
    assert batch.joints.shape == (8, 32, 25, 3)
    assert batch.joints.dtype == torch.float32
    assert batch.mask.all()
    # heading and root rule: everybody starts at the origin and looks along +z
    left, right = NTU25.hips
    across = (batch.joints[:, 0, left] - batch.joints[:, 0, right])[:, [0, 2]]
    assert across[:, 0].min() > 0.05
    torch.testing.assert_close(across[:, 1], torch.zeros(8), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(batch.joints[:, 0, 0, [0, 2]], torch.zeros(8, 2), atol=1e-6, rtol=0.0)
    network = info.need_normaliser().normalise(everything(data, "train").joints)
    assert float(network.abs().max()) == pytest.approx(1.0, abs=1e-5)


def test_two_channels_are_the_front_view() -> None:
    flat, deep = (ToyMotion(clips_per_class=2, val_clips_per_class=1, channels=c) for c in (2, 3))
    flat.setup()
    deep.setup()
    torch.testing.assert_close(everything(flat, "val").joints, everything(deep, "val").joints[..., :2])


def test_small_skeleton_is_a_choice_of_the_large_ones_joints() -> None:
    small, large = (ToyMotion(clips_per_class=2, val_clips_per_class=1, skeleton=s) for s in ("h36m16", "ntu25"))
    a, b = small.clips("train").joints, large.clips("train").joints
    for mine, theirs in (("hip", "base_spine"), ("left_foot", "left_ankle"), ("right_wrist", "right_wrist")):
        np.testing.assert_array_equal(a[:, H36M16.index(mine)], b[:, NTU25.index(theirs)])


def test_clips_depend_on_seed_split_class_and_number_alone() -> None:
    few = ToyMotion(clips_per_class=3, val_clips_per_class=2, classes=["kick", "walk"], people_seed=5)
    many = ToyMotion(clips_per_class=9, val_clips_per_class=4, people_seed=5)
    kick = list(ACTIONS).index("kick")
    a = few.clips("train").joints.reshape(2, 3, 32, 25, 3)
    b = many.clips("train").joints.reshape(12, 9, 32, 25, 3)
    np.testing.assert_array_equal(a[0], b[kick, :3])
    np.testing.assert_array_equal(a[1], b[0, :3])
    assert few.clips("train").label.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(few.clips("val").joints, few.clips("val").joints)
    other = ToyMotion(clips_per_class=3, val_clips_per_class=2, classes=["kick", "walk"], people_seed=6)
    assert np.abs(other.clips("train").joints - few.clips("train").joints).max() > 0.1


@pytest.mark.parametrize("action", ACTIONS)
def test_the_world_is_still_the_same(action: str) -> None:
    clips = perform(action, 2, 32, FPS, (0, 0, list(ACTIONS).index(action)))
    found = clips[1, 20, [NTU25.index("head"), NTU25.index("left_wrist")]].ravel()
    assert WORLD_VERSION == 1
    # other numbers mean that trained models no longer fit: raise the version and take new numbers
    np.testing.assert_allclose(found, GOLDEN[action], atol=2e-3)


def test_validation_people_are_not_training_people() -> None:
    data = ToyMotion(clips_per_class=20, val_clips_per_class=20, classes=["wave"])

    def thighs(split: Split) -> Array:
        joints = data.clips(split).joints.reshape(20, 32, 25, 3)[:, 0]
        return np.linalg.norm(joints[:, 13] - joints[:, 12], axis=-1)

    assert np.abs(thighs("train")[:, None] - thighs("val")[None]).min() > 1e-7


def test_without_variety_everybody_is_the_same_person() -> None:
    def thighs(variety: float) -> Array:
        clips = perform("walk", 16, 32, FPS, (0, 0, 0), variety=variety).astype(np.float64)
        return np.linalg.norm(joint(clips, "left_knee") - joint(clips, "left_hip"), axis=-1)[:, 0]

    assert thighs(0.0).std() < 1e-6
    assert 0.0 < thighs(0.5).std() < thighs(1.0).std()


def test_heading_is_random_within_its_range() -> None:
    facing = towards(perform("clap", 200, 32, FPS, (0, 0, 7), heading=40.0).astype(np.float64))[:, 0]
    yaw = np.degrees(np.arctan2(facing[:, 0], facing[:, 2]))
    assert np.abs(yaw).max() < 42.0
    assert yaw.min() < -30.0
    assert yaw.max() > 30.0


def test_fingerprint_follows_the_settings() -> None:
    changes: list[dict[str, object]] = [
        {},
        {"clips_per_class": 10},
        {"val_clips_per_class": 10},
        {"skeleton": "h36m16"},
        {"classes": ["walk", "run"]},
        {"classes": ["run", "walk"]},
        {"length": 40},
        {"fps": 25.0},
        {"heading": 90.0},
        {"variety": 0.5},
        {"root_rule": "none"},
        {"align_heading": False},
        {"channels": 2},
        {"people_seed": 1},
    ]
    prints = [ToyMotion(**change).fingerprint for change in changes]  # type: ignore[arg-type]
    assert len(set(prints)) == len(changes)
    assert ToyMotion(batch_size=4).fingerprint == prints[0]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"classes": ["walk", "wawe"]}, "no action 'wawe'.*Did you mean 'wave'"),
        ({"classes": []}, "classes is empty"),
        ({"classes": ["walk", "walk"]}, "names an action twice"),
        ({"skeleton": "cmu31"}, "use ntu25 or h36m16"),
        ({"skeleton": "stickman"}, "no skeleton 'stickman'"),
        ({"length": 10}, "use length 15 or more"),
        ({"fps": 0.0}, "fps is 0.0"),
        ({"fps": float("inf")}, "fps is inf"),
        ({"heading": 200.0}, "heading is 200.0"),
        ({"variety": -1.0}, "variety is -1.0"),
        ({"clips_per_class": 0}, "clips_per_class is 0"),
        ({"val_clips_per_class": 0}, "val_clips_per_class is 0"),
        ({"people_seed": -1}, "people_seed is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_wrong_settings_are_explained(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ToyMotion(**settings)  # type: ignore[arg-type]
