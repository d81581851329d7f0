"""A made-up tree of recordings in the form of the CMU motion capture that people keep."""

import csv
from pathlib import Path

import numpy as np

from mutoscope.structures import CMU31

#: label, subject, trial, cut, frames, fps
Take = tuple[str, str, str, str, int, int]
TAKES: list[Take] = [
    *(("walk", "01", f"{trial:02d}", "", 40, 30) for trial in range(5)),
    *(("wave", "01", trial, cut, 24, 30) for trial in ("11", "12") for cut in ("_a", "_b")),
    ("bow", "02", "01", "", 121, 120),
]
MOVING = [joint for joint in CMU31.joints if joint not in ("root", "lhipjoint", "rhipjoint")]


def direction(joint: str) -> str:
    """Arms to the sides, legs down, toes to the front, the rest up."""
    across = {"l": "1", "r": "-1"}[joint[0]] if joint != "root" else "0"
    if joint in ("lhipjoint", "rhipjoint"):
        return f"{0.8 * float(across)} -0.6 0"
    if joint[1:] in ("foot", "toes"):
        return "0 0 1"
    if joint[1:] in ("femur", "tibia"):
        return "0 -1 0"
    if CMU31.side(CMU31.index(joint)) == "middle":
        return "0 1 0"
    return f"{across} 0 0"


def asf_text() -> str:
    bones = "".join(
        f"begin\nid {i}\nname {joint}\ndirection {direction(joint) if joint[0] in 'lr' else '0 1 0'}\nlength 2\n"
        f"axis 0 0 0 XYZ\n{'dof rx ry rz' if joint in MOVING else ''}\nend\n"
        for i, joint in enumerate(CMU31.joints)
        if joint != "root"
    )
    tree = "".join(f"{CMU31.joints[a]} {CMU31.joints[b]}\n" for a, b in CMU31.bones)
    return (
        ":units\nlength 0.45\nangle deg\n:root\norder TX TY TZ RX RY RZ\naxis XYZ\nposition 0 0 0\n"
        f"orientation 0 0 0\n:bonedata\n{bones}:hierarchy\nbegin\n{tree}end\n"
    )


def amc_text(take: Take) -> str:
    """Someone who walks along the way they face, turned differently in every take, waving an arm."""
    _, subject, trial, cut, frames, fps = take
    turn = 37 * int(trial) + 11 * len(cut)
    lines = [":FULLY-SPECIFIED", ":DEGREES"]
    for frame in range(frames):
        second = frame / fps
        ahead = 10 * second
        lines.append(str(frame + 1))
        lines.append(
            f"root {ahead * np.sin(np.radians(turn)):.6f} {6 + int(subject)} {ahead * np.cos(np.radians(turn)):.6f} "
            f"0 {turn} 0"
        )
        lines += [f"{joint} 0 0 {30 * np.sin(second):.6f}" if "hum" in joint else f"{joint} 0 0 0" for joint in MOVING]
    return "\r\n".join(lines) + "\r\n"


def write_tree(root: Path, takes: list[Take] = TAKES) -> Path:
    """Write ``asf/``, a folder per label and ``index.csv``; returns ``root``."""
    (root / "asf").mkdir(parents=True)
    rows = []
    for take in takes:
        label, subject, trial, cut, frames, fps = take
        file = root / label / f"{subject}_{trial}{cut}.amc"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(amc_text(take).encode())
        (root / "asf" / f"{subject}.asf").write_text(asf_text())
        rows.append([str(file.relative_to(root)), label, subject, trial, f"asf/{subject}.asf", frames, fps])
    with (root / "index.csv").open("w", newline="") as index:
        csv.writer(index).writerows([["file", "label", "subject", "trial", "asf", "frames", "fps"], *rows])
    return root
