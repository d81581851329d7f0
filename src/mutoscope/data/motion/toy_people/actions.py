"""The action programs: each one steers a body through one action, written for a right-handed person facing +z.

Lengths of movements are written as shares of body or leg height, angles in degrees, times in seconds. A cyclic action
runs through the whole clip at a random phase; any other is played once, scaled in time so that it fits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mutoscope.data.motion.toy_people.body import Body, Controls, two_bones, unit
from mutoscope.data.motion.toy_people.curves import keyed, looped, smoothstep
from mutoscope.data.motion.toy_people.draws import Draws

Array = NDArray[np.float64]

LEFT, RIGHT = 0, 1
#: seconds a standard clip lasts; actions are timed for it and run faster in shorter clips
_STANDARD = 32 / 30
#: metres per second squared
_GRAVITY = 9.81


@dataclass(frozen=True)
class Scene:
    """What a program is given: the people, their random draws and the clock.

    Args:
        body: ``n`` people.
        draws: random columns for style and timing.
        time: ``[t]`` seconds.
        seconds: that a clip lasts.
    """

    body: Body
    draws: Draws
    time: Array
    seconds: float

    def once(self, shortest: float, longest: float) -> tuple[Array, Array]:
        """Progress ``[n, t]`` from 0 to 1 of an action played once, and its duration ``[n]`` in seconds."""
        fit = min(1.0, self.seconds / _STANDARD)
        duration = np.minimum(fit * self.draws.between(shortest, longest), 0.97 * self.seconds)
        onset = (0.97 * self.seconds - duration) * self.draws.uniform()
        progress = np.clip((self.time - onset[:, None]) / duration[:, None], 0.0, 1.0)
        hurry = self.draws.between(-0.15, 0.15)[:, None]
        return progress + hurry * progress * (1.0 - progress), duration

    def cycles(self, fewest: float, most: float) -> Array:
        """Phase ``[n, t]`` of a cyclic action with a frequency in Hz between the two, from a random start."""
        frequency = self.draws.between(fewest, most)
        return self.draws.uniform()[:, None] + frequency[:, None] * self.time


@dataclass
class Stand:
    """A person standing still, and the style that an action builds on.

    Args:
        controls: the standing pose over time, with a little sway.
        hang: ``[n, 1, 2, 2, 3]`` how the arms hang.
        amplitude: ``[n]`` around 1, how large this person moves.
    """

    controls: Controls
    hang: Array
    amplitude: Array


def stand(scene: Scene, *, width: float = 1.0) -> Stand:
    """Relaxed standing with random posture, arm carriage and stance; ``width`` scales the distance of the feet."""
    body, draws, frames = scene.body, scene.draws, len(scene.time)
    n = draws.n
    amplitude = draws.between(0.88, 1.12)
    lean, carriage, flex = draws.between(-1.0, 6.0), draws.between(7.0, 15.0), draws.between(12.0, 28.0)
    out, splay = draws.between(0.9, 1.3) * width * body.hip_out, np.radians(draws.between(3.0, 14.0))
    head = draws.between(0.02, 0.16)
    sway = 2.0 * np.pi * (draws.uniform()[:, None] + draws.between(0.3, 0.5)[:, None] * scene.time)

    pelvis = np.zeros((n, frames, 3))
    pelvis[..., 0] = 0.006 * np.sin(sway)
    pelvis[..., 1] = body.standing[:, None]
    pelvis[..., 2] = 0.015 * body.height[:, None]
    torso = np.zeros((n, frames, 3))
    torso[..., 1] = np.radians(lean[:, None] + 0.5 * np.cos(sway))
    foot = np.zeros((n, frames, 2, 3))
    foot[..., 0] = (np.stack([out, -out], axis=-1))[:, None]
    hang = arm(0.0, carriage, flex)[:, None, None] * np.ones((2, 1, 1))
    controls = Controls(
        pelvis=pelvis,
        pelvis_turn=np.zeros((n, frames, 3)),
        torso=torso,
        nod=np.repeat(head[:, None], frames, axis=1),
        arms=np.repeat(hang, frames, axis=1),
        curl=draws.between(0.3, 0.7),
        foot=foot,
        foot_yaw=np.repeat(np.stack([splay, -splay], axis=-1)[:, None], frames, axis=1),
        foot_pitch=np.zeros((n, frames, 2)),
        planted=np.ones((n, frames, 2)),
    )
    return Stand(controls, hang, amplitude)


def arm(raised: ArrayLike, out: ArrayLike, flexed: ArrayLike) -> Array:
    """Directions ``[..., 2, 3]`` of an arm swung forward by ``raised``, held ``out`` and ``flexed``, in degrees."""
    raised, out, flexed = np.broadcast_arrays(*(np.radians(x) for x in (raised, out, flexed)))
    upper = [np.sin(out), -np.cos(out) * np.cos(raised), np.cos(out) * np.sin(raised)]
    # the bent forearm turns inwards a little
    side, angle = 0.6 * out - 0.35 * flexed, raised + flexed
    fore = [np.sin(side), -np.cos(side) * np.cos(angle), np.cos(side) * np.sin(angle)]
    return np.stack([np.stack(upper, axis=-1), np.stack(fore, axis=-1)], axis=-2)


def gesture(scene: Scene, hang: Array, progress: Array, keys: Sequence[tuple[float, ArrayLike | None]]) -> Array:
    """One arm ``[n, t, 2, 3]`` through key poses, each a pair of directions or ``None`` for hanging.

    Every pose of every clip is varied a little.
    """
    poses = []
    for _, pose in keys:
        if pose is None:
            poses.append(hang)
            continue
        aim = unit(np.asarray(pose, dtype=np.float64))
        shift = np.stack([scene.draws.between(-0.1, 0.1) for _ in range(3)], axis=-1)
        poses.append(unit(aim + shift[:, None]))
    knots = [time for time, _ in keys]
    return keyed(progress, knots, np.stack(np.broadcast_arrays(*poses), axis=1))


def _columns(*values: ArrayLike) -> Array:
    """``[n, k]`` from ``k`` numbers, one for all clips or ``[n]`` each."""
    return np.stack(np.broadcast_arrays(*values), axis=1)


def degrees(progress: Array, knots: Sequence[float], values: Sequence[float]) -> Array:
    """``[n, t]`` radians through key angles given in degrees."""
    return np.radians(keyed(progress, knots, values))


def footstep(progress: Array, start: float, end: float) -> tuple[Array, Array]:
    """A foot put elsewhere between two moments: how far it has moved and how far it is lifted, both in [0, 1].

    The foot leaves the floor before it moves and moves no more when it touches down.
    """
    x = np.clip((progress - start) / (end - start), 0.0, 1.0)
    return smoothstep((x - 0.08) / 0.84), np.sin(np.pi * x) ** 2


@dataclass(frozen=True)
class Gait:
    """What makes a walk or a run.

    Args:
        stance: share of a cycle in which a foot stands.
        knots, pitch: of the foot over a cycle that starts at touch-down, in cycles and degrees.
        lift_knots, lift: height of the foot over the cycle, in shares of leg length.
        bounce: half-range of the pelvis height, in shares of body height.
        crouch: how far the pelvis is carried below standing, likewise.
        sway: of the pelvis towards the standing foot, likewise.
        pelvis_yaw, pelvis_list, chest_yaw: half-ranges in degrees.
        track: distance of the feet from the middle, in hip widths.
    """

    stance: float
    knots: tuple[float, ...]
    pitch: tuple[float, ...]
    lift_knots: tuple[float, ...]
    lift: tuple[float, ...]
    bounce: float
    crouch: float
    sway: float
    pelvis_yaw: float
    pelvis_list: float
    chest_yaw: float
    track: float


WALK = Gait(
    stance=0.62,
    knots=(0.0, 0.11, 0.36, 0.50, 0.64, 0.76, 0.88, 0.96),
    pitch=(-17.0, 0.0, 0.0, 14.0, 50.0, 38.0, -2.0, -17.0),
    lift_knots=(0.0, 0.60, 0.72, 0.84, 0.93),
    lift=(0.0, 0.0, 0.075, 0.05, 0.02),
    bounce=0.010,
    crouch=0.012,
    sway=0.012,
    pelvis_yaw=5.0,
    pelvis_list=3.0,
    chest_yaw=6.0,
    track=0.75,
)
RUN = Gait(
    stance=0.36,
    knots=(0.0, 0.08, 0.18, 0.38, 0.55, 0.75, 0.92),
    pitch=(-6.0, 0.0, 0.0, 52.0, 75.0, 32.0, -4.0),
    lift_knots=(0.0, 0.35, 0.55, 0.72, 0.90),
    lift=(0.0, 0.0, 0.40, 0.33, 0.07),
    bounce=0.020,
    crouch=0.040,
    sway=0.006,
    pelvis_yaw=7.0,
    pelvis_list=3.0,
    chest_yaw=11.0,
    track=0.45,
)


def stride(scene: Scene, gait: Gait, speed: Array, frequency: Array) -> tuple[Stand, Array]:
    """Legs, pelvis and trunk of a gait at ``speed`` m/s; returns them with the phase ``[n, t]`` of the left foot."""
    base = stand(scene)
    c, body = base.controls, scene.body
    height, leg = body.height[:, None], body.leg[:, None]
    start = scene.draws.uniform()[:, None]
    phase = start + frequency[:, None] * scene.time
    length = (speed / frequency)[:, None]
    for side, lag, sign in ((LEFT, 0.0, 1.0), (RIGHT, 0.5, -1.0)):
        foot_phase = phase + lag
        cycle = np.floor(foot_phase)
        within = foot_phase - cycle
        swing = smoothstep((within - gait.stance) / (1.0 - gait.stance))
        c.foot[..., side, 2] = length * (cycle + swing + 0.5 * gait.stance - lag - start)
        c.foot[..., side, 1] = leg * looped(foot_phase, gait.lift_knots, gait.lift)
        c.foot[..., side, 0] = sign * gait.track * body.hip_out[:, None]
        c.foot_pitch[..., side] = np.radians(looped(foot_phase, gait.knots, gait.pitch))
        edge = 0.06
        c.planted[..., side] = smoothstep((gait.stance - within) / edge) + smoothstep((within - 1.0 + edge) / edge)
    # of both feet: the middle of a stance, and the half cycle in which the left foot carries
    step = 2.0 * np.pi * (2.0 * phase - gait.stance)
    carry = 2.0 * np.pi * (phase - 0.5 * gait.stance)
    reach = 2.0 * np.pi * phase
    walking = 1.0 if gait.stance > 0.5 else -1.0
    c.pelvis[..., 1] = body.standing[:, None] - gait.crouch * height + walking * gait.bounce * height * np.cos(step)
    c.pelvis[..., 0] += gait.sway * height * np.cos(carry)
    c.pelvis[..., 2] = speed[:, None] * scene.time + 0.01 * height
    swagger = base.amplitude[:, None]
    # the hip of the leg in front leads; the shoulders go the other way
    pelvis_yaw = -np.radians(gait.pelvis_yaw) * swagger * np.cos(reach)
    c.pelvis_turn[..., 0] = pelvis_yaw
    c.pelvis_turn[..., 2] = np.radians(gait.pelvis_list) * np.cos(carry)
    c.torso[..., 0] = -pelvis_yaw + np.radians(gait.chest_yaw) * swagger * np.cos(reach)
    c.torso[..., 2] = -c.pelvis_turn[..., 2]
    return base, phase


def swing_arms(base: Stand, phase: Array, *, middle: Array, half: Array, out: Array, flex: Array, more: float) -> None:
    """Arms that swing against the legs, in degrees ``[n]``.

    Args:
        base, phase: from :func:`stride`.
        middle, half: of the range over which the upper arm swings forward.
        out: how far the arms are held away.
        flex: of the elbow when the arm is back; it bends by twice ``more`` when the arm is in front.
    """
    for side, sign in ((LEFT, -1.0), (RIGHT, 1.0)):
        swing = sign * np.cos(2.0 * np.pi * phase)
        raised = middle[:, None] + half[:, None] * swing
        base.controls.arms[:, :, side] = arm(raised, out[:, None], flex[:, None] + more * (1.0 + swing))


def walk(scene: Scene) -> Controls:
    draws = scene.draws
    speed = draws.between(1.1, 1.5)
    # longer legs take longer strides
    cadence = speed * draws.between(0.66, 0.76) * 0.84 / scene.body.leg
    base, phase = stride(scene, WALK, speed, cadence)
    swing_arms(
        base,
        phase,
        middle=draws.between(0.0, 5.0),
        half=draws.between(17.0, 29.0),
        out=draws.between(7.0, 13.0),
        flex=draws.between(12.0, 24.0),
        more=9.0,
    )
    return base.controls


def run(scene: Scene) -> Controls:
    draws = scene.draws
    speed = draws.between(2.7, 3.3)
    base, phase = stride(scene, RUN, speed, draws.between(1.34, 1.5))
    swing_arms(
        base,
        phase,
        middle=draws.between(-14.0, -6.0),
        half=draws.between(34.0, 48.0),
        out=draws.between(12.0, 20.0),
        flex=draws.between(80.0, 98.0),
        more=7.0,
    )
    base.controls.torso[..., 1] += np.radians(draws.between(5.0, 11.0))[:, None]
    base.controls.curl[:] = 1.5
    return base.controls


def jump(scene: Scene) -> Controls:
    base, draws, body = stand(scene), scene.draws, scene.body
    c = base.controls
    s, duration = scene.once(0.94, 1.02)
    crouch, land = 0.105 * base.amplitude * body.height, 0.08 * base.amplitude * body.height
    airborne = draws.between(0.38, 0.43)
    leave, touch = 0.36, 0.36 + airborne
    # between leaving the floor and touching down, the cubic with these slopes is the parabola of free fall
    take_off = 0.5 * _GRAVITY * airborne * duration**2
    rise = 0.045 * body.height
    knots = _columns(0.0, 0.21, leave, touch, touch + 0.11, 1.0)
    heights = _columns(0.0, -crouch, rise, rise, -land, 0.0)
    slopes = _columns(0.0, 0.0, take_off, -take_off, 0.0, 0.0)
    lift = keyed(s, knots, heights, slopes)
    c.pelvis[..., 1] += lift
    air = np.clip((s - leave) / airborne[:, None], 0.0, 1.0)
    flight = np.maximum(lift - rise[:, None], 0.0) * ((air > 0.0) & (air < 1.0))
    tuck = draws.between(0.03, 0.08)[:, None] * body.height[:, None] * np.sin(np.pi * air) ** 2
    ahead = draws.between(0.0, 0.16)[:, None] * body.height[:, None]
    c.foot[..., 1] += (flight + tuck)[..., None]
    c.foot[..., 2] += (ahead * smoothstep(air))[..., None]
    c.pelvis[..., 2] += ahead * smoothstep((s - 0.2) / 0.62)
    down = lift.clip(max=0.0) / crouch[:, None]
    c.pelvis[..., 2] += 0.035 * body.height[:, None] * down
    c.pelvis_turn[..., 1] = -np.radians(26.0) * down
    c.torso[..., 1] += -np.radians(14.0) * down
    pitch = keyed(s, _columns(0.22, leave, touch - 0.04, touch + 0.05), [0.0, 42.0, 22.0, 0.0])
    c.foot_pitch += np.radians(pitch)[..., None]
    keys = [
        (0.0, None),
        (0.17, arm(-34.0, 14.0, 18.0)),
        (0.30, arm(45.0, 14.0, 28.0)),
        (0.46, arm(150.0, 16.0, 22.0)),
        (0.60, arm(132.0, 24.0, 25.0)),
        (0.84, arm(38.0, 30.0, 35.0)),
        (1.0, arm(10.0, 15.0, 25.0)),
    ]
    c.arms[:] = gesture(scene, base.hang[:, 0, RIGHT], s, keys)[:, :, None]
    return c


def wave(scene: Scene) -> Controls:
    base, draws = stand(scene), scene.draws
    c = base.controls
    phase = scene.cycles(2.1, 2.7)
    half = np.radians(draws.between(24.0, 34.0))[:, None]
    tilt = half * np.sin(2.0 * np.pi * phase) - np.radians(6.0)
    raised = unit(np.array([0.85, 0.12, 0.42]))
    upper = raised + 0.18 * np.sin(tilt)[..., None] * np.array([0.0, 0.6, 0.0])
    fore = np.stack([np.sin(-tilt), np.cos(tilt), 0.22 + 0.0 * tilt], axis=-1)
    waving = np.stack(np.broadcast_arrays(unit(upper), unit(fore)), axis=-2)
    # some clips start with the arm on its way, some with it up
    up = smoothstep(0.42 + 0.55 * draws.uniform()[:, None] + scene.time / 0.75)
    c.arms[:, :, RIGHT] = unit((1.0 - up[..., None, None]) * base.hang[:, :, RIGHT] + up[..., None, None] * waving)
    c.pelvis[..., 0] += 0.012 * scene.body.height[:, None]
    c.torso[..., 2] -= np.radians(2.5)
    c.curl[:] = 0.15
    return c


def kick(scene: Scene) -> Controls:
    base, draws, body = stand(scene), scene.draws, scene.body
    c = base.controls
    s, _ = scene.once(0.92, 1.0)
    height, leg = body.height[:, None], body.leg[:, None]
    below = np.radians(draws.between(12.0, 36.0))
    reach, high = 0.24 + np.cos(below), 1.0 - np.sin(below)
    # of the kicking foot, in leg lengths: back, knee up, out, knee again, down
    knots = [0.0, 0.18, 0.35, 0.48, 0.56, 0.72, 0.92]
    forward = _columns(0.0, -0.34, 0.24, reach, reach, 0.22, 0.0)
    upward = _columns(0.0, 0.20, 0.48, high, high, 0.40, 0.0)
    c.foot[..., RIGHT, 2] += leg * keyed(s, knots, forward)
    c.foot[..., RIGHT, 1] += leg * keyed(s, knots, upward)
    c.foot_pitch[..., RIGHT] = degrees(s, knots, [0.0, 55.0, 5.0, -48.0, -48.0, 0.0, 0.0])
    free = smoothstep(s / 0.12) * (1.0 - smoothstep((s - 0.82) / 0.12))
    c.planted[..., RIGHT] = 1.0 - free
    # the weight goes over the standing foot, hips forward, trunk back
    over = smoothstep(s / 0.22) * (1.0 - smoothstep((s - 0.74) / 0.24))
    c.pelvis[..., 0] += over * 0.8 * c.foot[:, :, LEFT, 0]
    c.pelvis[..., 1] -= 0.008 * height * over
    c.pelvis[..., 2] += height * keyed(s, knots, [0.0, -0.01, 0.01, 0.04, 0.04, 0.01, 0.0])
    c.pelvis_turn[..., 1] = -degrees(s, knots, [0.0, -8.0, 4.0, 16.0, 16.0, 4.0, 0.0])
    c.pelvis_turn[..., 0] = degrees(s, knots, [0.0, -14.0, 4.0, 16.0, 16.0, 4.0, 0.0])
    c.torso[..., 0] += -1.5 * c.pelvis_turn[..., 0]
    c.torso[..., 1] += degrees(s, knots, [0.0, 4.0, 3.0, 2.0, 2.0, 3.0, 0.0])
    c.nod += keyed(s, knots, [0.0, 0.05, 0.1, 0.15, 0.15, 0.1, 0.0])
    guard = arm(25.0, 24.0, 75.0)
    c.arms[:, :, LEFT] = gesture(
        scene, base.hang[:, 0, LEFT], s, [(0.0, None), (0.22, guard), (0.52, arm(58.0, 30.0, 45.0)), (1.0, None)]
    )
    c.arms[:, :, RIGHT] = gesture(
        scene, base.hang[:, 0, RIGHT], s, [(0.0, None), (0.22, guard), (0.52, arm(-28.0, 30.0, 30.0)), (1.0, None)]
    )
    return c


def punch(scene: Scene) -> Controls:
    base, draws, body = stand(scene, width=1.35), scene.draws, scene.body
    c = base.controls
    s, _ = scene.once(0.86, 0.98)
    height = body.height[:, None]
    stagger = draws.between(0.075, 0.105)[:, None] * height
    c.foot[..., LEFT, 2] += stagger
    c.foot[..., RIGHT, 2] -= stagger
    c.foot_yaw[..., RIGHT] -= np.radians(28.0)
    knots = [0.0, 0.24, 0.44, 0.52, 0.80, 1.0]
    turn = np.array([-24.0, -34.0, 22.0, 24.0, -22.0, -24.0])
    swing = np.radians(keyed(s, knots, turn)) * base.amplitude[:, None]
    c.pelvis_turn[..., 0] = swing
    c.torso[..., 0] = 0.9 * swing
    c.torso[..., 1] += degrees(s, knots, [4.0, 3.0, 12.0, 12.0, 4.0, 4.0])
    c.pelvis[..., 1] -= 0.035 * height
    c.pelvis[..., 2] += height * keyed(s, knots, [0.0, -0.02, 0.055, 0.055, 0.0, 0.0])
    c.foot_pitch[..., RIGHT] = degrees(s, knots, [12.0, 8.0, 38.0, 38.0, 12.0, 12.0])
    c.nod += 0.06
    ready = [(0.28, -0.80, 0.45), (-0.22, 0.80, 0.55)]
    drawn = [(0.42, -0.80, 0.05), (-0.15, 0.62, 0.75)]
    # in the chest's frame, which is turned to the left when the fist arrives
    hit = [(0.34, 0.0, 0.94), (0.22, 0.26, 0.92)]
    c.arms[:, :, RIGHT] = gesture(
        scene,
        base.hang[:, 0, RIGHT],
        s,
        [(0.0, ready), (0.24, drawn), (0.44, hit), (0.52, hit), (0.80, ready), (1.0, ready)],
    )
    c.arms[:, :, LEFT] = gesture(
        scene,
        base.hang[:, 0, LEFT],
        s,
        [(0.0, ready), (0.44, [(0.30, -0.88, 0.25), (-0.28, 0.85, 0.45)]), (0.9, ready)],
    )
    c.curl[:] = 1.8
    return c


def throw(scene: Scene) -> Controls:
    base, draws, body = stand(scene, width=1.2), scene.draws, scene.body
    c = base.controls
    s, _ = scene.once(0.94, 1.02)
    height = body.height[:, None]
    step = draws.between(0.20, 0.27)[:, None] * height
    back = 0.05 * height
    c.foot[..., RIGHT, 2] -= back
    going, lifted = footstep(s, 0.14, 0.50)
    c.foot[..., LEFT, 2] += step * going
    c.foot[..., LEFT, 1] += 0.08 * height * lifted
    c.planted[..., LEFT] = 1.0 - lifted
    c.foot_yaw[..., RIGHT] -= np.radians(45.0)
    knots = [0.0, 0.42, 0.64, 0.82, 1.0]
    c.foot_pitch[..., RIGHT] = degrees(s, knots, [0.0, 8.0, 36.0, 50.0, 48.0])
    turn = np.radians(keyed(s, knots, [-26.0, -46.0, 12.0, 34.0, 30.0])) * base.amplitude[:, None]
    c.pelvis_turn[..., 0] = turn
    c.torso[..., 0] = 0.8 * turn
    c.torso[..., 1] += degrees(s, knots, [0.0, -12.0, 14.0, 30.0, 24.0])
    c.torso[..., 2] = degrees(s, knots, [0.0, 8.0, -8.0, -8.0, -4.0])
    c.pelvis[..., 2] += step * keyed(s, knots, [-0.2, 0.0, 0.55, 0.72, 0.68])
    c.pelvis[..., 1] -= 0.02 * height
    cocked = [(0.92, 0.12, -0.36), (0.30, 0.90, -0.42)]
    release = [(0.80, 0.35, 0.50), (0.25, 0.68, 0.72)]
    follow = [(0.10, -0.48, 0.88), (-0.50, -0.72, 0.50)]
    hands = [(0.20, -0.90, 0.30), (-0.45, 0.30, 0.80)]
    c.arms[:, :, RIGHT] = gesture(
        scene,
        base.hang[:, 0, RIGHT],
        s,
        [
            (0.0, hands),
            (0.22, [(0.75, -0.62, -0.25), (0.55, -0.1, 0.30)]),
            (0.44, cocked),
            (0.62, release),
            (0.80, follow),
            (1.0, [(0.05, -0.85, 0.45), (-0.40, -0.75, 0.50)]),
        ],
    )
    c.arms[:, :, LEFT] = gesture(
        scene,
        base.hang[:, 0, LEFT],
        s,
        [
            (0.0, hands),
            (0.40, [(0.62, -0.05, 0.80), (0.50, 0.12, 0.85)]),
            (0.68, [(0.55, -0.78, -0.15), (0.10, -0.30, 0.92)]),
            (1.0, arm(-15.0, 25.0, 60.0)),
        ],
    )
    c.curl[:] = 1.0
    return c


def clap(scene: Scene) -> Controls:
    base, draws, body = stand(scene), scene.draws, scene.body
    c = base.controls
    phase = scene.cycles(2.3, 3.0)
    # the hands stay apart longer than together
    gap = (0.5 + 0.5 * np.cos(2.0 * np.pi * phase)) ** 0.8
    wide = draws.between(0.20, 0.30)[:, None] * gap
    low, far = draws.between(-0.14, -0.02)[:, None], draws.between(0.24, 0.30)[:, None]
    length = (body.upper_arm + body.forearm)[:, None]
    shoulder = 1.01 * body.shoulder_out[:, None]
    # from the shoulder (out, up, forward) to the wrist; the palms meet a hand's breadth before the middle
    wrist = np.stack(
        np.broadcast_arrays(0.075 + wide - shoulder, (low - 0.28) * length, (far + 0.36) * length - 0.2 * wide), axis=-1
    )
    start, pole = np.zeros_like(wrist), np.array([0.45, -0.8, -0.3])
    elbow, wrist = two_bones(start, wrist, body.upper_arm[:, None], body.forearm[:, None], pole)
    arms = unit(np.stack([elbow, wrist - elbow], axis=-2))
    c.arms[:] = arms[:, :, None]
    c.torso[..., 1] += np.radians(1.5) * (1.0 - gap)
    c.nod += 0.05
    # the forearms come in aslant, the palms meet straight
    c.curl[:] = -0.5
    return c


def sit_down(scene: Scene) -> Controls:
    return _seat(scene, rising=False)


def stand_up(scene: Scene) -> Controls:
    return _seat(scene, rising=True)


def _seat(scene: Scene, *, rising: bool) -> Controls:
    """Between standing and sitting on a chair behind the person; ``low`` is 0 standing and 1 seated."""
    base, draws, body = stand(scene, width=1.25), scene.draws, scene.body
    c = base.controls
    s, _ = scene.once(0.84, 0.98)
    lap = [(0.20, -0.90, 0.42), (-0.12, -0.22, 0.95)]
    push = [(0.22, -0.72, 0.60), (-0.05, -0.30, 0.95)]
    keys: list[tuple[float, ArrayLike | None]]
    if rising:
        # leaning forward comes first
        low = 1.0 - smoothstep((s - 0.14) / 0.84)
        bow = smoothstep(s / 0.3) * (1.0 - smoothstep((s - 0.38) / 0.55))
        keys = [(0.0, lap), (0.18, lap), (0.5, push), (0.95, None)]
    else:
        low = smoothstep((s - 0.02) / 0.84)
        bow = np.sin(np.pi * low**0.75) ** 2
        keys = [(0.0, None), (0.4, push), (0.85, lap), (1.0, lap)]
    height = body.height[:, None]
    seat = draws.between(0.275, 0.305)[:, None] * height
    back = (0.92 * body.thigh)[:, None] + 0.02 * height
    c.pelvis[..., 1] += low * (seat - c.pelvis[..., 1])
    # the pelvis goes back before it goes down, and comes up before it comes forward
    c.pelvis[..., 2] -= back * (1.0 - (1.0 - low) ** 1.5)
    bend = draws.between(30.0, 40.0)[:, None] * base.amplitude[:, None]
    c.pelvis_turn[..., 1] = np.radians(0.6 * bend * bow - 6.0 * low)
    c.torso[..., 1] += np.radians(0.75 * bend * bow)
    c.nod += 0.12 * bow
    c.arms[:] = gesture(scene, base.hang[:, 0, RIGHT], s, keys)[:, :, None]
    return c


def squat(scene: Scene) -> Controls:
    base, draws, body = stand(scene, width=1.9), scene.draws, scene.body
    c = base.controls
    s, _ = scene.once(0.94, 1.02)
    low = smoothstep(s / 0.47) * (1.0 - smoothstep((s - 0.52) / 0.47))
    height = body.height[:, None]
    deep = draws.between(0.21, 0.26)[:, None] * height
    c.pelvis[..., 1] -= deep * low
    c.pelvis[..., 2] -= draws.between(0.085, 0.11)[:, None] * height * low
    bend = draws.between(18.0, 26.0)[:, None]
    c.pelvis_turn[..., 1] = np.radians(bend * low)
    c.torso[..., 1] += np.radians(14.0) * low
    c.foot_yaw += np.radians([10.0, -10.0])
    raised = draws.between(96.0, 118.0)[:, None] * low
    c.arms[:] = arm(raised + draws.between(-3.0, 3.0)[:, None], 11.0, 16.0)[:, :, None]
    return c


def turn(scene: Scene) -> Controls:
    base, draws, body = stand(scene), scene.draws, scene.body
    c = base.controls
    s, _ = scene.once(0.95, 1.03)
    angle = np.radians(draws.between(115.0, 165.0))[:, None]
    height = body.height[:, None]
    # the left foot opens, the right one comes round, the left one closes
    first, last, middle = footstep(s, 0.02, 0.38), footstep(s, 0.60, 0.96), footstep(s, 0.32, 0.68)
    left, right = angle * (0.5 * first[0] + 0.5 * last[0]), angle * middle[0]
    for side, yaw, up in ((LEFT, left, first[1] + last[1]), (RIGHT, right, middle[1])):
        out = c.foot[..., side, 0].copy()
        c.foot[..., side, 0] = out * np.cos(yaw)
        c.foot[..., side, 2] = -out * np.sin(yaw)
        c.foot[..., side, 1] = 0.05 * height * up
        c.foot_pitch[..., side] = np.radians(20.0) * up
        c.foot_yaw[..., side] += yaw
        c.planted[..., side] = 1.0 - up
    facing = angle * smoothstep((s - 0.02) / 0.92)
    shift = middle[1] - first[1] - last[1]
    c.pelvis_turn[..., 0] = facing
    aside, ahead = c.pelvis[..., 0] + 0.018 * height * shift, c.pelvis[..., 2].copy()
    c.pelvis[..., 0] = aside * np.cos(facing) + ahead * np.sin(facing)
    c.pelvis[..., 2] = ahead * np.cos(facing) - aside * np.sin(facing)
    c.pelvis[..., 1] -= 0.012 * height * np.sin(np.pi * s)
    # chest and arms lead, then follow
    lead = np.radians(22.0) * np.sin(np.pi * np.clip(s / 0.9, 0.0, 1.0)) ** 2
    c.torso[..., 0] = lead
    fling = draws.between(14.0, 28.0)[:, None] * np.sin(np.pi * s) ** 2
    c.arms[:, :, LEFT] = arm(-0.6 * fling, 12.0 + fling, 20.0 + fling)
    c.arms[:, :, RIGHT] = arm(1.2 * fling, 10.0 + 0.5 * fling, 20.0 + fling)
    return c


#: every action by name, in label order
ACTIONS: dict[str, Callable[[Scene], Controls]] = {
    "walk": walk,
    "run": run,
    "jump": jump,
    "wave": wave,
    "kick": kick,
    "punch": punch,
    "throw": throw,
    "clap": clap,
    "sit_down": sit_down,
    "stand_up": stand_up,
    "squat": squat,
    "turn": turn,
}
