"""Layers of the stack that turns coordinates into better ones: over the sequence graph, and the paper's ablations.

All map ``[b, t, v, g, c_in] -> [b, t, v, g, c_out]`` without activation, where ``g`` signals share the graph of a
sample. They take the graph whether they use it or not.
"""

from typing import Literal, get_args

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.sa_gcn.attention_graph import SequenceGraph

NodeMixing = Literal["none", "dense", "separable"]


class GraphConv(nn.Module):
    """Channel mixing, then the graph (equation 7), then nodes may be mixed by weights that channels share.

    Where the graph's weights sum to one at each node, it does not matter for the result whether channels or nodes are
    mixed first; the narrower side of the layer is spread.

    Args:
        c_in: input channels.
        c_out: output channels.
        joints: joints per frame, ``v``.
        length: frames; of interest to node mixing alone, which binds the layer to it.
        node_mixing: ``dense`` has a weight for every pair of nodes of the sequence (as released), ``separable`` one
            for every pair of frames and one for every pair of joints.

    Raises:
        ValueError: for an unknown kind of node mixing.
    """

    def __init__(self, c_in: int, c_out: int, *, joints: int, length: int, node_mixing: NodeMixing = "none") -> None:
        super().__init__()
        if node_mixing not in get_args(NodeMixing):
            raise ValueError(f"node_mixing is '{node_mixing}', expected one of {', '.join(get_args(NodeMixing))}.")
        self.linear = nn.Linear(c_in, c_out)
        self.nodes = nn.Linear(length * joints, length * joints) if node_mixing == "dense" else None
        separable = node_mixing == "separable"
        self.over_frames = nn.Linear(length, length) if separable else None
        self.over_joints = nn.Linear(joints, joints) if separable else None

    def forward(self, x: Tensor, graph: SequenceGraph) -> Tensor:
        return self._mix(x, graph, self.linear.weight, self.linear.bias)

    def into(self, head: nn.Linear, x: Tensor, graph: SequenceGraph) -> Tensor:
        """``head(self(x, graph))`` without the head's bias, spreading the head's channels instead of this layer's.

        Products over channels and over nodes commute, so those over channels can all be done first; node biases, which
        channels share, reach the head as often as there are channels.
        """
        weight, bias = head.weight @ self.linear.weight, head.weight @ self.linear.bias
        return self._mix(x, graph, weight, bias, shares=head.weight.sum(dim=1))

    def _mix(
        self, x: Tensor, graph: SequenceGraph, weight: Tensor, bias: Tensor, shares: Tensor | None = None
    ) -> Tensor:
        """``shares: [c_out]`` says how often each channel gets the node biases, once if ``None``."""
        t, v = x.shape[1:3]
        if graph.divide_first:
            x = _spread(F.linear(x, weight, bias), graph)
        elif len(weight) >= weight.shape[1]:
            x = F.linear(_spread(x, graph), weight, bias)
        else:
            x = _spread(F.linear(x, weight), graph) + bias
        if self.nodes is not None:
            # one product, with what is at the nodes of all samples, signals and channels as columns
            columns = rearrange(x, "b t v g c -> (t v) b g c")
            mixed = (self.nodes.weight @ columns.flatten(1)).view_as(columns)
            node_bias = self.nodes.bias[:, None, None, None]
            x = mixed + (node_bias if shares is None else node_bias * shares)
            x = rearrange(x, "(t v) b g c -> b t v g c", t=t, v=v)
        if self.over_frames is not None and self.over_joints is not None:
            frame_bias, joint_bias = self.over_frames.bias[:, None, None, None], self.over_joints.bias[:, None, None]
            if shares is not None:
                frame_bias, joint_bias = frame_bias * shares, joint_bias * shares
            x = (self.over_frames.weight @ x.flatten(2)).view_as(x) + frame_bias
            x = (self.over_joints.weight @ x.flatten(3)).view_as(x) + joint_bias
        return x


def _spread(x: Tensor, graph: SequenceGraph) -> Tensor:
    """:meth:`SequenceGraph.spread` with signals and channels side by side."""
    return graph.spread(x.flatten(3)).view_as(x)


class GridConv(nn.Module):
    """Ablation "CNN": a convolution over the picture whose axes are frames and joints (section 4.6, baseline 1).

    Args:
        c_in: input channels.
        c_out: output channels.
        kernel: odd extents over frames and over joints; (1, 1) mixes channels alone.

    Raises:
        ValueError: if an extent is even.
    """

    def __init__(self, c_in: int, c_out: int, kernel: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        if not all(extent % 2 for extent in kernel):
            raise ValueError(f"The kernel is {kernel[0]} x {kernel[1]}, expected odd extents.")
        self.conv = nn.Conv2d(c_in, c_out, kernel, padding=(kernel[0] // 2, kernel[1] // 2))

    def forward(self, x: Tensor, graph: SequenceGraph) -> Tensor:
        picture = rearrange(x, "b t v g c -> (b g) c t v")
        return rearrange(self.conv(picture), "(b g) c t v -> b t v g c", g=x.shape[3])


class SpatioTemporalConv(nn.Module):
    """Ablation "ST-GC": the skeleton's graph in each frame, then a convolution over time (section 4.6, baseline 3).

    Args:
        c_in: input channels.
        c_out: output channels.
        kernel: odd number of frames; ST-GCN's by default, the paper names none.

    Raises:
        ValueError: if it is even.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int = 9) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"The temporal kernel is {kernel}, expected an odd number of frames.")
        self.linear = nn.Linear(c_in, c_out)
        self.temporal = nn.Conv1d(c_out, c_out, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, graph: SequenceGraph) -> Tensor:
        b, t, v, g, _ = x.shape
        frames = SequenceGraph.of_frames(b, t, graph.adjacency)
        y = rearrange(self.linear(_spread(x, frames)), "b t v g c -> (b v g) c t")
        return rearrange(self.temporal(y), "(b v g) c t -> b t v g c", v=v, g=g)
