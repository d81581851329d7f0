"""Human3.6M's files and lens."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from mutations import damaged, refusal
from safetensors.numpy import load_file

from mutoscope.formats.human36m import Camera, Human36mError, position_files, read_camera, read_positions

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(7, 32, 3))


def camera_of(serial: str = "55011271") -> dict[str, np.ndarray]:
    """The parts of a camera as the file holds them, R transposed."""
    rotation = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    name = np.array([[float(ord(digit))] for digit in serial])
    sizes = {"T": 3, "f": 2, "c": 2, "k": 3, "p": 2}
    scales = {"T": 3000, "f": 50, "c": 500, "k": 0.1, "p": 0.01}
    parts = {part: scales[part] * (1 + RNG.uniform(0, 1, size=(n, 1))) for part, n in sizes.items()}
    return {"R": rotation.T, "Name": name, **parts}


def write(path: Path, content: dict[str, object]) -> Path:
    with h5py.File(path, "w") as file:
        for key, value in content.items():
            file[key] = value
    return path


def test_positions_are_transposed(tmp_path: Path) -> None:
    path = write(tmp_path / "Walking 1.h5", {"3D_positions": VALUES.reshape(7, 96).T, "3dtest": np.zeros((96, 1))})
    np.testing.assert_array_equal(read_positions(path), VALUES)


def test_the_lens_is_the_recorded_one(golden_dir: Path) -> None:
    file = golden_dir / "sa_gcn" / "camera_projection.safetensors"
    if not file.is_file():
        pytest.skip("no recordings of SA-GCN's camera here")
    golden = load_file(file)
    numbers = {part: golden[f"in/{part}"].ravel() for part in "Tfckp"}
    camera = Camera("x", golden["in/R"], numbers["T"], numbers["f"], numbers["c"], numbers["k"], numbers["p"])
    points = golden["in/points_world_mm"]
    pixels, depth = camera.project(points)
    np.testing.assert_allclose(pixels, golden["out/pixels"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(depth, golden["out/depth"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(camera.to_camera(points), golden["out/world_to_camera"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        camera.to_world(golden["out/world_to_camera"]), golden["out/camera_to_world_roundtrip"], rtol=0, atol=1e-9
    )


def test_the_lens_written_out() -> None:
    # one point by hand: x = 0.2, y = -0.1, r2 = 0.05
    camera = Camera(
        "x",
        np.eye(3),
        np.zeros(3),
        focal=np.array([1000.0, 1100.0]),
        principal=np.array([500.0, 510.0]),
        radial=np.array([0.3, -0.2, 0.1]),
        tangential=np.array([0.01, -0.02]),
    )
    pixels, depth = camera.project(np.array([400.0, -200.0, 2000.0]))
    bend = 1 + 0.3 * 0.05 - 0.2 * 0.05**2 + 0.1 * 0.05**3 + (0.01 * -0.1 - 0.02 * 0.2)
    expected = [1000 * (0.2 * bend - 0.02 * 0.05) + 500, 1100 * (-0.1 * bend + 0.01 * 0.05) + 510]
    np.testing.assert_allclose(pixels, expected, rtol=1e-12)
    assert depth == 2000.0
    with pytest.raises(ValueError, match="1 of 2 points lie behind camera x"):
        camera.project(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]))


def test_a_camera_is_found_by_subject_and_serial_number(tmp_path: Path) -> None:
    content: dict[str, object] = {"3dtest": np.zeros((96, 1)), "subject1/3dtest": np.zeros((96, 1))}
    wanted = camera_of("55011271")
    for name, parts in {"subject1/camera1": camera_of("54138969"), "subject1/camera2": wanted}.items():
        content |= {f"{name}/{part}": values for part, values in parts.items()}
    path = write(tmp_path / "cameras.h5", content)
    camera = read_camera(path, 1, "55011271")
    np.testing.assert_array_equal(camera.rotation, wanted["R"].T)
    found = (camera.centre, camera.focal, camera.principal, camera.radial, camera.tangential)
    for part, values in zip("Tfckp", found, strict=True):
        np.testing.assert_array_equal(values, wanted[part].ravel())
    with pytest.raises(ValueError, match=r"has no cameras of subject 5; it has those of: subject1"):
        read_camera(path, 5, "55011271")
    with pytest.raises(ValueError, match=r"has no camera '58860488' of subject 1; it has 54138969, 55011271"):
        read_camera(path, 1, "58860488")


def test_broken_cameras(tmp_path: Path) -> None:
    parts = {f"subject1/camera1/{part}": values for part, values in camera_of().items()}
    lacking = {key: values for key, values in parts.items() if not key.endswith("/k")}
    with pytest.raises(ValueError, match=r"has no data set 'subject1/camera1/k'"):
        read_camera(write(tmp_path / "a.h5", lacking), 1, "55011271")
    with pytest.raises(ValueError, match=r"'subject1/camera1/f' has shape \(3,\), expected 2 numbers"):
        read_camera(write(tmp_path / "b.h5", parts | {"subject1/camera1/f": np.ones(3)}), 1, "55011271")
    with pytest.raises(FileNotFoundError, match=r"There is no file .*c\.h5"):
        read_camera(tmp_path / "c.h5", 1, "55011271")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"other": VALUES}, "has no data set '3D_positions'; it has other"),
        ({}, "has no data set '3D_positions'; it has nothing"),
        ({"3D_positions/x": VALUES}, "has no data set '3D_positions'"),
        ({"3D_positions": VALUES.reshape(7, 96)}, r"has shape \(7, 96\), expected \(96, frames\)"),
        ({"3D_positions": VALUES.T}, r"has shape \(3, 32, 7\), expected \(96, frames\)"),
        ({"3D_positions": np.zeros((96, 0))}, r"has shape \(96, 0\), expected"),
        ({"3D_positions": np.full((96, 2), np.nan)}, "holds values that are no finite numbers"),
        ({"3D_positions": np.full((96, 2), b"x")}, r"holds \|S1, expected numbers"),
        ({"3D_positions": h5py.Empty("f8")}, "has no data set '3D_positions'"),
    ],
)
def test_broken_positions(tmp_path: Path, content: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_positions(write(tmp_path / "Eating.h5", content))


def test_what_is_no_hdf5_is_named(tmp_path: Path) -> None:
    text = tmp_path / "Eating.h5"
    text.write_text("no, this is text")
    with pytest.raises(ValueError, match=r"Eating\.h5: it cannot be read as HDF5"):
        read_positions(text)
    cut = write(tmp_path / "Posing.h5", {"3D_positions": VALUES.reshape(7, 96).T})
    cut.write_bytes(cut.read_bytes()[:2500])
    with pytest.raises(ValueError, match=r"Posing\.h5: it cannot be read as HDF5"):
        read_positions(cut)


def test_recordings_of_a_subject(tmp_path: Path) -> None:
    folder = tmp_path / "S9" / "MyPoses" / "3D_positions"
    folder.mkdir(parents=True)
    names = [
        "SittingDown.h5",
        "Sitting.h5",
        "Sitting 1.h5",
        "WalkDog.h5",
        "Walking.h5",
        "Walking 3.h5",
        "SittingDown 2.h5",
    ]
    for name in [*names, "3dtest.txt", "Walking.h5.part", ".Walking.h5", "Walking  1.h5", "Walking 10.h5"]:
        (folder / name).touch()
    found = [(file.action, file.path.name) for file in position_files(tmp_path, 9)]
    assert found == [
        ("Sitting", "Sitting 1.h5"),
        ("Sitting", "Sitting.h5"),
        ("SittingDown", "SittingDown 2.h5"),
        ("SittingDown", "SittingDown.h5"),
        ("WalkDog", "WalkDog.h5"),
        ("Walking", "Walking 3.h5"),
        ("Walking", "Walking.h5"),
    ]
    assert position_files(tmp_path, 9)[0].name == "S9/Sitting 1"
    with pytest.raises(FileNotFoundError, match=r"S5.*with the positions of subject 5"):
        position_files(tmp_path, 5)


def test_without_h5py_a_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Walking.h5").touch()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mutoscope\[human36m\]'"):
        read_positions(tmp_path / "Walking.h5")


def test_little_files_that_claim_much_are_not_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("3D_positions", (96, 4_000_000), "f8", chunks=(96, 1000), compression="gzip")
        file.create_dataset("subject1/camera1/R", (30_000, 30_000), "f8", chunks=(1000, 1000))
    assert (tmp_path / "a.h5").stat().st_size < 10_000
    with pytest.raises(
        Human36mError, match=r"a\.h5: '3D_positions' has shape \(96, 4000000\), .* 200000 frames at most"
    ):
        read_positions(tmp_path / "a.h5")
    with pytest.raises(Human36mError, match=r"'subject1/camera1/R' has shape \(30000, 30000\), expected 9 numbers"):
        read_camera(tmp_path / "a.h5", 1, "55011271")


def test_links_out_of_a_file_are_not_followed(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.h5", {"3D_positions": VALUES.reshape(7, 96).T})
    values = tmp_path / "values.bin"
    values.write_bytes(b"\0" * 96 * 8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["3D_positions"] = h5py.ExternalLink(str(whole), "3D_positions")
        file["subject1"] = h5py.SoftLink("/other")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("3D_positions", (96, 1), "f8", external=[(str(values), 0, 96 * 8)])
    with h5py.File(tmp_path / "c.h5", "w") as file:
        layout = h5py.VirtualLayout((96, 7), "f8")
        layout[:] = h5py.VirtualSource(str(whole), "3D_positions", (96, 7))
        file.create_virtual_dataset("3D_positions", layout)
    for name in "abc":
        with pytest.raises(Human36mError, match="not followed; copy"):
            read_positions(tmp_path / f"{name}.h5")
    with pytest.raises(Human36mError, match="'subject1' is a link"):
        read_camera(tmp_path / "a.h5", 1, "55011271")


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("R", np.eye(3) * 2, "'subject1/camera1/R' is no rotation"),
        ("R", np.diag([1.0, 1, -1]), "is no rotation"),
        ("R", np.zeros((3, 3)), "is no rotation"),
        ("T", np.full((3, 1), 3.0), "5.19615 from the middle of the room; expected millimetres"),
        ("f", np.array([[-1.0], [5]]), "expected focal lengths"),
        ("c", np.array([[1e5], [2e5]]), "expected a place in pixels"),
        ("k", np.full((3, 1), 1e4), "no lens bends"),
        ("T", np.full((3, 1), 1e300), "expected nothing beyond"),
    ],
)
def test_cameras_that_cannot_be(tmp_path: Path, part: str, value: np.ndarray, said: str) -> None:
    parts = {f"subject1/camera1/{name}": values for name, values in (camera_of() | {part: value}).items()}
    with pytest.raises(Human36mError, match=said):
        read_camera(write(tmp_path / "c.h5", parts), 1, "55011271")


def test_damaged_files_raise_nothing_else(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.h5",
        {"3D_positions": VALUES.reshape(7, 96).T}
        | {f"subject1/camera1/{name}": values for name, values in camera_of().items()},
    )
    whole = path.read_bytes()
    # what describes the values lies among them, mostly zeros
    places = [at for at in range(len(whole)) if whole[at] not in (0, 255)]
    rng = np.random.default_rng(0)
    flipped = []
    for _ in range(150):
        data = bytearray(whole)
        data[places[rng.integers(min(len(places), 700))]] = rng.integers(256)
        flipped.append(bytes(data))
    for data in [*damaged(whole, 40), *flipped]:
        path.write_bytes(data)
        for read in (lambda: read_positions(path), lambda: read_camera(path, 1, "55011271")):
            error, _ = refusal(Human36mError, read)
            assert error is None or str(path) in str(error)
