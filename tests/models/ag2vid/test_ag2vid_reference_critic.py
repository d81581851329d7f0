import pytest
import torch
from torch import Tensor

from mutoscope.models.ag2vid.discriminators import ActionDiscriminator, DiscriminatorSettings
from mutoscope.models.ag2vid.reference.critic import convert_critic, critic_from_reference, critic_keys, export_critic

SMALL = DiscriminatorSettings(graph_layers=3, width=4, layers=3, scales=3)


@pytest.fixture
def critic() -> ActionDiscriminator:
    return ActionDiscriminator((4, 3), 5, SMALL, width=8, hidden=16)


@pytest.fixture
def state(critic: ActionDiscriminator) -> dict[str, Tensor]:
    return export_critic(critic, num_predicates=6)


def test_keys_and_shapes_are_those_of_released_checkpoints() -> None:
    state = export_critic(ActionDiscriminator((6, 10, 3, 4), 7), num_predicates=8)
    assert len(state) == 56
    shapes = {
        "attribute_embedding.attribute_fc_gen.weight": (512, 512),
        "acts_embeddings.weight": (7, 128),
        "pred_embeddings.weight": (8, 128),
        "gconvs.0.net1.0.weight": (512, 1152),
        "gconvs.1.net1.2.weight": (1152, 512),
        "pre_obj_vecs_net.0.weight": (128, 512),
        "pre_obj_vecs_net.2.weight": (128, 128),
        "obj_vecs_net.0.weight": (512, 132),
        "obj_vecs_net.2.weight": (512, 512),
        "fc_objs_vecs.weight": (256, 640),
        "discriminator_0.model0.0.weight": (64, 259, 4, 4),
        "discriminator_1.model1.0.0.weight_orig": (128, 64, 4, 4),
        "discriminator_1.model3.0.0.weight_v": (4096,),
        "discriminator_1.model4.0.weight": (1, 512, 4, 4),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


def test_sizes_are_read_from_the_shapes_and_weights_kept(critic: ActionDiscriminator, state: dict[str, Tensor]) -> None:
    found = critic_from_reference(state).state_dict()
    for name, value in critic.state_dict().items():
        assert torch.equal(found[name], value), name


def test_one_attribute_has_no_mixing_layer() -> None:
    state = export_critic(ActionDiscriminator((9,), 5, SMALL, width=8, hidden=16), num_predicates=6)
    assert not [key for key in state if "attribute_fc_gen" in key]
    assert critic_from_reference(state).attributes.width == 8


def test_states_with_too_little_or_too_much_are_refused(critic: ActionDiscriminator, state: dict[str, Tensor]) -> None:
    lacking = {key: x for key, x in state.items() if key != "fc_objs_vecs.bias"}
    with pytest.raises(ValueError, match=r"lacks 1 tensors \(fc_objs_vecs\.bias"):
        convert_critic(lacking, critic)
    with pytest.raises(ValueError, match=r"also holds 1 tensors \(extra"):
        convert_critic({**state, "extra": torch.zeros(1)}, critic)
    with pytest.raises(ValueError, match=r"'fc_objs_vecs\.bias' has shape \(3,\)"):
        convert_critic({**state, "fc_objs_vecs.bias": torch.zeros(3)}, critic)
    with pytest.raises(ValueError, match=r"lacks 'acts_embeddings\.weight'"):
        critic_from_reference({})


def test_a_discriminator_without_actions_has_no_counterpart() -> None:
    with pytest.raises(ValueError, match="does not look at actions"):
        critic_keys(ActionDiscriminator((4, 3), 5, SMALL, width=8, hidden=16, use_actions=False))
