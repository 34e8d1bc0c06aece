"""Steps with the models that PyG ships; it leaves the encoders to its user."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import ARGA, ARGVA, GAE, VGAE, DeepGraphInfomax, GCNConv

from gssl.benchmarks.perf.measure import Step
from gssl.benchmarks.perf.peers.encoders import Layers, head
from gssl.benchmarks.perf.peers.peer import Turns, Update
from gssl.benchmarks.perf.setups import ADVERSARY, NodeSetup


class Posterior(nn.Module):
    """A shared GCN layer, and one each for mean and logarithm of the standard deviation."""

    def __init__(self, in_dim: int, hidden: int, out: int) -> None:
        super().__init__()
        self.shared = GCNConv(in_dim, hidden)
        self.mean, self.log_std = GCNConv(hidden, out), GCNConv(hidden, out)

    def forward(self, x: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.shared(x, edge_index).relu()
        return self.mean(hidden, edge_index), self.log_std(hidden, edge_index)


def corruption(x: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
    """The graph with shuffled features."""
    return x[torch.randperm(len(x))], edge_index


def summary(nodes: Tensor, *_: object) -> Tensor:
    """DGI's summary of the graph."""
    return nodes.mean(dim=0).sigmoid()


def dgi(setup: NodeSetup) -> Step:
    """``DeepGraphInfomax``; it adds 1e-15 within two logarithms where we take a softplus."""
    edge_index, x = setup.plain()
    encoder = Layers(x.shape[1], setup.hidden, activation=nn.PReLU)
    model = DeepGraphInfomax(setup.hidden, encoder, summary, corruption)
    return Update(lambda: model.loss(*model(x, edge_index)), model)


def gae(setup: NodeSetup) -> Step:
    """``GAE``. Its non-edges are distinct and no node with itself, which it makes sure of in every step; as ours do."""
    edge_index, x = setup.plain()
    model = GAE(Layers(x.shape[1], setup.hidden, setup.out, final=False))
    return Update(lambda: model.recon_loss(model.encode(x, edge_index), edge_index), model)


def vgae(setup: NodeSetup) -> Step:
    """``VGAE``, as GAE. Two layers give mean and deviation where ours has one of twice the width."""
    edge_index, x = setup.plain()
    model = VGAE(Posterior(x.shape[1], setup.hidden, setup.out))

    def loss() -> Tensor:
        z = model.encode(x, edge_index)
        value: Tensor = model.recon_loss(z, edge_index) + model.kl_loss() / len(x)
        return value

    return Update(loss, model)


def arga(setup: NodeSetup) -> Step:
    """``ARGA``: one update of the discriminator, on the embeddings of this step, then one of the encoder.

    PyG's example has five of the discriminator. Ours embeds once for each of both.
    """
    edge_index, x = setup.plain()
    encoder = Layers(x.shape[1], setup.hidden, setup.out, final=False)
    return _adversarial(ARGA(encoder, _judge(setup)), x, edge_index, kl=0.0)


def argva(setup: NodeSetup) -> Step:
    """``ARGVA``, as ARGA."""
    edge_index, x = setup.plain()
    model = ARGVA(Posterior(x.shape[1], setup.hidden, setup.out), _judge(setup))
    return _adversarial(model, x, edge_index, kl=1 / len(x))


def _adversarial(model: ARGA, x: Tensor, edge_index: Tensor, *, kl: float) -> Step:
    z = torch.empty(0)

    def told() -> Tensor:
        nonlocal z
        z = model.encode(x, edge_index)
        loss: Tensor = model.discriminator_loss(z)  # which leaves the encoder alone
        return loss

    def reconstruction() -> Tensor:
        loss: Tensor = model.recon_loss(z, edge_index) + model.reg_loss(z)
        return loss + kl * model.kl_loss() if kl else loss

    return Turns(Update(told, model.discriminator), Update(reconstruction, model.encoder))


def _judge(setup: NodeSetup) -> nn.Module:
    return head((setup.out, *ADVERSARY, 1))
