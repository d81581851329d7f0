"""Checkpoints of the original AG2Vid: names and shapes by the specification, sizes, round trips, refusals."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from original_checkpoint import (
    ONE_ATTRIBUTE,
    SMALL,
    Widths,
    critic_shapes,
    frames_shapes,
    layout_shapes,
    make_file,
    model_shapes,
    random_state,
)

from mutoscope.models.ag2vid.reference.checkpoint import (
    ARGUMENTS,
    CRITIC,
    MODEL,
    export_reference,
    key_map_report,
    networks_from_reference,
    read_reference,
)
from mutoscope.models.ag2vid.reference.frames import FRAMES_PREFIX, export_frames
from mutoscope.models.ag2vid.reference.layout import APPEARANCE_PREFIX
from mutoscope.structures.vocabulary import CATER_VOCABULARY, something_vocabulary


def test_the_specification_counts_these_entries() -> None:
    assert len(model_shapes(Widths())) == 492
    assert len(critic_shapes(Widths())) == 56
    assert frames_shapes(Widths())["conv_dim_in.0.0.weight_v"] == (9243,)


@pytest.mark.parametrize("widths", [SMALL, ONE_ATTRIBUTE], ids=["four attributes", "one attribute"])
def test_every_entry_comes_back(widths: Widths) -> None:
    file = make_file(widths)
    exported = export_reference(networks_from_reference(file))
    for name, state in ((MODEL, file.model), (CRITIC, file.critic)):
        assert state is not None
        assert exported[name].keys() == state.keys()
        for key, x in state.items():
            if name == CRITIC and key == "pred_embeddings.weight":
                continue  # never read
            assert exported[name][key].equal(x), key


def test_sizes_are_told_from_the_shapes() -> None:
    networks = networks_from_reference(make_file())
    assert networks.sizes == SMALL.attributes
    assert networks.settings() == {
        "width": 12,
        "graph_hidden": 10,
        "layout": {"layers": 2, "only_actions": False},
        "frames": {
            "flow": {"width": 3, "halvings": 3, "blocks": 2, "multiplier": 20.0},
            "spade": {"width": 2, "hidden": 5, "upsampling": "normal"},
            "attribute_width": 9,
            "segmap_channels": 48,
            "align_corners": False,
        },
        "discriminator": {"graph_layers": 2, "width": 4, "layers": 4, "scales": 3, "carry_state": True},
    }


def test_flags_tell_what_shapes_do_not() -> None:
    flags = {"num_upsampling_layers": "more", "flow_multiplier": 5, "only_temporal": 1}
    networks = networks_from_reference(make_file(**flags))
    assert networks.frames.generator.reduction == 64
    settings = networks.settings()
    assert settings["frames"]["spade"]["upsampling"] == "more"
    assert settings["frames"]["flow"]["multiplier"] == 5
    assert settings["layout"]["only_actions"] is True


def test_kernels_are_the_originals_over_their_spectral_norm() -> None:
    file = make_file()
    fuse = networks_from_reference(file).frames.eval().fuse.conv
    name = f"{FRAMES_PREFIX}conv_dim_in.0.0.weight"
    kernel, u, v = (file.model[f"{name}_{leaf}"] for leaf in ("orig", "u", "v"))
    torch.testing.assert_close(fuse.normalised(), kernel / (u @ kernel.flatten(1) @ v))


def test_a_file_is_read_with_the_flags_beside_it(tmp_path: Path) -> None:
    file, path = make_file(), tmp_path / "itr_5000.pt"
    others = {"optim_state_gen": {"state": {0: torch.zeros(1)}}, "counters": {"t": 5000, "epoch": 1}, "vocab": {"a": 1}}
    torch.save({MODEL: file.model, CRITIC: file.critic, "gans_model_state": {}, **others}, path)
    (tmp_path / ARGUMENTS).write_text(json.dumps({"num_upsampling_layers": "more", "vocab": {"0": "a"}}))
    found = read_reference(path)
    assert found.model.keys() == file.model.keys()
    assert found.critic is not None
    assert networks_from_reference(found).upsampling == "more"
    (tmp_path / ARGUMENTS).unlink()
    torch.save({MODEL: file.model}, path)
    networks = networks_from_reference(read_reference(path))
    assert networks.critic is None
    assert CRITIC not in export_reference(networks)
    assert networks.upsampling == "normal"


def test_vocabulary_must_fit_the_tables() -> None:
    assert networks_from_reference(make_file()).vocabulary() is CATER_VOCABULARY
    networks = networks_from_reference(make_file(ONE_ATTRIBUTE))
    with pytest.raises(ValueError, match=r"that of CATER has \(6, 10, 3, 4\), 7 and 8; name the vocabulary"):
        networks.vocabulary()
    fitting = something_vocabulary([f"thing {i}" for i in range(8)])
    assert networks.vocabulary(fitting) is fitting


def test_misfits_are_named() -> None:
    file = make_file()
    model = dict(file.model)
    del model[f"{FRAMES_PREFIX}netG.up_2.conv_s.weight_u"]
    model[f"{FRAMES_PREFIX}netG.up_2.extra"] = torch.zeros(1)
    model[f"{FRAMES_PREFIX}netG.conv_img.bias"] = torch.zeros(4)
    with pytest.raises(ValueError) as error:
        networks_from_reference(replace(file, model=model))
    for part in (
        "up_2.conv_s.weight_u' is missing",
        "up_2.extra' belongs to no part",
        "conv_img.bias' has shape [4] where [3] is expected",
    ):
        assert part in str(error.value)


def test_checkpoints_of_something_else_are_refused() -> None:
    file = make_file()
    with pytest.raises(ValueError, match=r"1 entries that belong to no network, such as 'stranger'"):
        networks_from_reference(replace(file, model={**file.model, "stranger": torch.zeros(1)}))
    with pytest.raises(ValueError, match=r"has no entry '.*conv_dim_in\.0\.0\.weight_orig'"):
        networks_from_reference(replace(file, model={}))
    with pytest.raises(ValueError, match="flow_deconv"):
        networks_from_reference(make_file(flow_deconv=True))
    with pytest.raises(ValueError, match="gconv_pooling 'sum'; graph convolutions average"):
        networks_from_reference(make_file(gconv_pooling="sum"))
    with pytest.raises(ValueError, match="num_upsampling_layers 'all'"):
        networks_from_reference(make_file(num_upsampling_layers="all"))
    other = random_state(critic_shapes(replace(SMALL, attributes=(6, 10, 3, 5))))
    with pytest.raises(ValueError, match=r"critic network has attributes of \(6, 10, 3, 5\) values"):
        networks_from_reference(replace(file, critic=other))
    appearance = {
        APPEARANCE_PREFIX + key: x for key, x in random_state(layout_shapes(replace(SMALL, width=16))).items()
    }
    with pytest.raises(ValueError, match="describes objects by 16 numbers, the frame generator expects 12"):
        networks_from_reference(replace(file, model={**file.model, **appearance}))


class _Stranger:
    pass


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_Stranger(), "cannot be read as a file of plain tensors"),
        ({"model_state": {"a": 1}}, "'model_state' of .* holds no plain state dictionary"),
        ({"state_dict": {}}, "is no checkpoint of the original AG2Vid"),
        ([torch.zeros(1)], "is no checkpoint of the original AG2Vid"),
    ],
    ids=["object", "numbers", "other names", "list"],
)
def test_files_that_hold_no_weights_are_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        read_reference(path)


def test_absent_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no checkpoint"):
        read_reference(tmp_path / "none.pt")
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read"):
        read_reference(tmp_path / "broken.pt")
    torch.save({MODEL: {}}, tmp_path / "fine.pt")
    (tmp_path / ARGUMENTS).write_text("{")
    with pytest.raises(ValueError, match=r"run_args\.json' is no JSON"):
        read_reference(tmp_path / "fine.pt")


def test_report_lists_every_entry() -> None:
    file = make_file()
    assert file.critic is not None
    lines = key_map_report(networks_from_reference(file)).splitlines()
    assert len(lines) == len(file.model) + len(file.critic)
    assert f"{FRAMES_PREFIX}netG.fc.bias [32] -> frames.generator.first.bias" in lines
    shared = [line for line in lines if line.endswith("-> frames.generator.blocks.3.shared.weight")]
    assert len(shared) == 3
    assert "pred_embeddings.weight [8, 12] -> nothing" in lines


def test_exports_are_copies() -> None:
    frames = networks_from_reference(make_file()).frames
    export_frames(frames)["netG.fc.weight"].zero_()
    assert frames.generator.first.weight.any()
