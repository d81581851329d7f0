"""SA-GCN written the slow, plain way: the yardstick of the benchmark and a second opinion in the golden tests.

The sequence graph is a matrix over all joints of all frames: attention is tiled up to it, its degrees are inverted as a
diagonal matrix, and that inverse is multiplied with it. Features are channels-first, frames are summed and picked one
by one, labels are repeated, the two coordinates get copies of the graph, and the generator is walked back once for each
critic, whose own gradients are computed and thrown away. Keys are those of the original's checkpoints.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def dense_graph(attention: Tensor, closed: Tensor, kept: int) -> Tensor:
    """``[b, t, t]`` and ``A + I`` -> ``[b, t v, t v]``, columns of the pruned graph, as released."""
    t, v = attention.shape[1], len(closed)
    values, best = attention.topk(min(kept, t), dim=-1)
    pruned = torch.zeros_like(attention).scatter(-1, best, values)
    frames, joints = (torch.eye(n, dtype=attention.dtype) for n in (t, v))
    pattern = torch.kron(1 - frames, joints) + torch.kron(frames, closed)
    # tiled, then sorted: joint by joint becomes frame by frame
    order = torch.arange(t * v).view(v, t).T.flatten()
    whole = pruned.repeat(1, v, 1).index_select(1, order).repeat(1, 1, v).index_select(2, order) * pattern
    whole = whole + 0.1 * torch.eye(t * v, dtype=whole.dtype) + 0.1 * torch.kron(frames, closed)
    degree = torch.diag_embed(whole.sum(dim=1))
    return torch.bmm(torch.linalg.inv(degree), whole)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int = 3) -> None:
        super().__init__()
        self.heads, self.d = heads, width // heads
        self.w_q, self.w_k, self.w_v = (nn.Linear(width, heads * self.d) for _ in range(3))
        self.linear2 = nn.Linear(heads * self.d, width)
        self.layer_norm = nn.LayerNorm(width)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        outputs, maps = [], []
        q, k, v = self.w_q(x), self.w_k(x), self.w_v(x)
        future = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
        for head in range(self.heads):
            part = slice(head * self.d, (head + 1) * self.d)
            scores = torch.bmm(q[..., part], k[..., part].transpose(1, 2)) / self.d**0.5
            maps.append(scores.masked_fill(future, -torch.inf).softmax(dim=-1))
            outputs.append(torch.bmm(maps[-1], v[..., part]))
        return x + self.gamma * self.linear2(torch.cat(outputs, dim=2)), torch.stack(maps).mean(dim=0)


class GraphLayer(nn.Module):
    def __init__(self, c_in: int, c_out: int, nodes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 1)
        self.w = nn.Linear(nodes, nodes)

    def forward(self, x: Tensor, graph: Tensor) -> Tensor:
        h = self.conv(x)
        return self.w(torch.bmm(h.flatten(2), graph)).view_as(h)


def _twice(c_in: int, inner: int, c_out: int, activation: type[nn.Module], *args: float) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(c_in, inner, 1), activation(*args), nn.Conv1d(inner, c_out, 1), activation(*args))


class DenseGenerator(nn.Module):
    def __init__(
        self,
        closed: Tensor,
        *,
        length: int,
        channels: int = 2,
        classes: int = 10,
        kept: int = 5,
        noise: int = 30,
        widths: Sequence[int] = (512, 1024, 1024),
    ) -> None:
        super().__init__()
        self.closed, self.kept, self.channels = closed, kept, channels
        first, trunk, second = widths
        features, nodes = channels * len(closed), length * len(closed)
        self.w1, self.w2 = nn.Conv1d(classes, 20, 1), nn.Conv1d(20 + noise, 60, 1)
        self.rnn = nn.GRU(60, 100)
        self.attn_seq_1, self.attn_seq_2 = Attention(100 + classes), Attention(features)
        self.linear1 = nn.Conv1d(100 + classes, trunk, 1)
        self.block1 = _twice(100 + classes, first, trunk, nn.ReLU)
        self.block2 = _twice(trunk, second, trunk, nn.ReLU)
        self.linear = nn.Conv1d(trunk, features, 3, padding=1)
        ladder = (1, 32, 64, 64, 128, 128)
        for number in range(5):
            setattr(self, f"gc{number + 1}", GraphLayer(ladder[number], ladder[number + 1], nodes))
        self.w_g1, self.w_g2 = nn.Conv2d(1, 64, 1), nn.Conv2d(64, 128, 1)
        self.w_output = nn.Conv2d(128, 1, 1)

    def forward(self, noise: Tensor, label: Tensor, start: Tensor) -> Tensor:
        """``[b, t, noise]``, ``[b, classes]``, ``[b, hidden]`` -> ``[b, t, v c]``."""
        b, t, _ = noise.shape
        classes = label[:, :, None].repeat(1, 1, t)
        x = self.w2(torch.cat([self.w1(classes), noise.transpose(1, 2)], dim=1))
        states, _ = self.rnn(x.permute(2, 0, 1))
        total, sums = start, []
        for frame in range(t):
            total = total + states[frame]
            sums.append(total)
        x = torch.cat([torch.stack(sums, dim=1), classes.transpose(1, 2)], dim=2)
        x = self.attn_seq_1(x)[0].transpose(1, 2)
        x = self.linear1(x) + self.block1(x)
        x = x + self.block2(x)
        poses, attention = self.attn_seq_2(self.linear(x).transpose(1, 2).contiguous())
        graph = dense_graph(attention, self.closed, self.kept).repeat(self.channels, 1, 1)
        v = poses.view(b * self.channels, 1, t, len(self.closed))
        h = self.gc2(self.gc1(v, graph), graph)
        h = third = self.gc3(h, graph) + self.w_g1(v)
        h = self.gc5(self.gc4(h, graph), graph) + self.w_g2(third)
        return self.w_output(h).view(b, t, -1)


class DenseFrameCritic(nn.Module):
    def __init__(
        self, features: int, classes: int, frames: int, widths: Sequence[int] = (1024, 512, 1024, 128)
    ) -> None:
        super().__init__()
        self.block1 = _twice(features, widths[0], widths[1], nn.LeakyReLU, 0.2)
        self.linear1 = nn.Linear(features, widths[1])
        self.block2 = _twice(widths[1] + classes, widths[2], widths[3], nn.LeakyReLU, 0.2)
        self.linear2, self.linear3 = nn.Linear(widths[3], 1), nn.Linear(frames, 1)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """``[b, f, v c]`` and ``[b, classes]`` -> probability ``[b]``."""
        h = self.block1(x.transpose(1, 2)) + self.linear1(x).transpose(1, 2)
        h = self.block2(torch.cat([h, label[:, :, None].repeat(1, 1, x.shape[1])], dim=1))
        return torch.sigmoid(self.linear3(self.linear2(h.transpose(1, 2)).squeeze(2)).squeeze(1))


class DenseClipCritic(nn.Module):
    def __init__(
        self, features: int, classes: int, length: int, widths: Sequence[int] = (1000, 1000, 1024, 128)
    ) -> None:
        super().__init__()
        self.block1 = _twice(features, widths[0], widths[1], nn.LeakyReLU, 0.2)
        self.block2 = _twice(widths[1] + classes, widths[2], widths[3], nn.LeakyReLU, 0.2)
        self.linear1 = nn.Conv1d(widths[3], 1, 3, padding=1)
        self.linear2, self.linear3 = nn.Linear(length, 1), nn.Linear(length, classes)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """``[b, t, v c]`` and ``[b, classes]`` -> probability ``[b]``."""
        h = self.block1(x.transpose(1, 2))
        h = self.block2(torch.cat([h, label[:, :, None].repeat(1, 1, x.shape[1])], dim=1))
        return torch.sigmoid(self.linear2(self.linear1(h).squeeze(1)).squeeze(1))


def dense_iteration(
    generator: nn.Module,
    clip_critic: nn.Module,
    frame_critic: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    real: Tensor,
    label: Tensor,
    noise: Tensor,
    start: Tensor,
    real_picks: Tensor,
    fake_picks: Tensor,
) -> dict[str, float]:
    """One iteration in the released order; optimisers of the clip critic, the frame critic, the generator."""
    optimise_clip, optimise_frame, optimise_generator = optimizers

    def against(probability: Tensor, target: float) -> Tensor:
        return F.binary_cross_entropy(probability, torch.full_like(probability, target))

    def picked(clips: Tensor, picks: Tensor) -> Tensor:
        frames = clips[:, picks[0] : picks[0] + 1]
        for pick in picks[1:]:
            frames = torch.cat([frames, clips[:, pick : pick + 1]], dim=1)
        return frames

    losses = {}
    fake = generator(noise, label, start)
    optimise_clip.zero_grad()
    on_real, on_fake = against(clip_critic(real, label), 0.9), against(clip_critic(fake.detach(), label), 0)
    (on_real + on_fake).backward()
    optimise_clip.step()
    losses |= {"dv_real": on_real.item(), "dv_fake": on_fake.item()}

    optimise_frame.zero_grad()
    on_real = against(frame_critic(picked(real, real_picks), label), 0.9)
    on_fake = against(frame_critic(picked(fake.detach(), fake_picks), label), 0)
    (on_real + on_fake).backward()
    optimise_frame.step()
    losses |= {"di_real": on_real.item(), "di_fake": on_fake.item()}

    optimise_generator.zero_grad()
    by_clip = against(clip_critic(fake, label), 0.9)
    by_clip.backward(retain_graph=True)
    by_frame = against(frame_critic(picked(fake, fake_picks), label), 0.9)
    by_frame.backward()
    optimise_generator.step()
    return losses | {"g_video": by_clip.item(), "g_frame": by_frame.item()}
