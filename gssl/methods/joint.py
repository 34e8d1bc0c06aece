"""What methods share that are made of other methods: their names and options, and the life of each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from gssl.common.errors import InputError, unknown
from gssl.common.options import KeyedBy, validate
from gssl.common.seeds import derive_seed
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import MAIN, Method, OverItems, Player
from gssl.models.encoder import Encoder
from gssl.registry import METHODS
from gssl.samplers.base import Sampler


class Joint(Method):
    """Base of methods that train several others at once; heads, decoders and views are their own.

    Any methods of this project for nodes that have one player may be named. What is judged is the output of
    :attr:`encoder`, whatever a method by itself makes of it.

    Args:
        encoder: of all methods.
        methods: names of two or more methods.
        options: options of some of the methods, by name; the others, and other options, have their defaults.

    Attributes:
        names: of the methods, as they are registered.
        parts: the methods themselves, in that order.
        weight: of each method's loss now, shape (num_methods,), float32, a buffer; the same for all, and of sum 1,
            unless a subclass changes it.
    """

    weight: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        methods: Annotated[tuple[str, ...], Field(min_length=2)] = ("DGI", "GAE"),
        options: Annotated[Mapping[str, Mapping[str, Any]] | None, KeyedBy("methods")] = None,
    ) -> None:
        super().__init__(encoder)
        self.names = _names(methods, self.title)
        own = _options(options or {}, self.names, self.title)
        self.parts = nn.ModuleList(
            _part(name, self.encoder_of_part(encoder), own.get(name, {}), self.title) for name in self.names
        )
        self.register_buffer("weight", torch.full((len(self.names),), 1 / len(self.names)))

    def extra_repr(self) -> str:
        """The weights, for whoever prints the method."""
        return ", ".join(f"{name}: {float(w):.3g}" for name, w in zip(self.names, self.weight, strict=True))

    def encoder_of_part(self, encoder: Encoder) -> Encoder:
        """What the next method trains: the one encoder, unless a subclass gives each its own."""
        return encoder

    def loss(self, batch: MiniBatch) -> Tensor:
        total: Tensor = self.terms(batch) @ self.weight
        return total

    def each(self, batch: MiniBatch) -> Iterator[Tensor]:
        """The loss of each method with its own mass, a scalar, one after the other."""
        for part, loss in zip(self.members, self.losses, strict=True):
            yield loss(batch) * part.mass(batch)

    def terms(self, batch: MiniBatch) -> Tensor:
        """The loss of each method with its own mass, shape (num_methods,)."""
        return torch.stack(list(self.each(batch)))

    def gradient(self, value: Tensor) -> Tensor:
        """Of a scalar with respect to the encoder, one vector of float64."""
        parameters = [p for p in self.encoder.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
        return torch.cat([gradient.flatten() for gradient in gradients]).double()

    def mass(self, batch: MiniBatch) -> float:
        """Every term has its own already."""
        return 1.0

    @property
    def members(self) -> list[Method]:
        """The methods, in order."""
        return list(self.parts)  # type: ignore[arg-type]  # a ModuleList does not say of what

    @property
    def losses(self) -> list[Callable[[MiniBatch], Tensor]]:
        """What each of the methods lowers."""
        return [_player(part).loss or part.loss for part in self.members]

    @property
    def num_layers(self) -> int:
        return max(part.num_layers for part in self.members)

    def check_sampler(self, sampler: Sampler) -> None:
        self.check_embedding(sampler)
        for part in self.members:
            part.check_sampler(sampler)

    def prepare(self, graph: Graph, seed: int) -> None:
        for name, part in zip(self.names, self.members, strict=True):
            part.prepare(graph, derive_seed(seed, name))

    def reseed(self, seed: int, device: torch.device) -> None:
        super().reseed(seed, device)
        for part in self.members:
            part.reseed(seed, device)
            part.rng = self.rng  # one stream for all, so that a checkpoint within an epoch holds it

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        for part in self.members:
            part.begin_epoch(epoch, over_items)

    def players(self) -> Mapping[str, Player]:
        together = dict.fromkeys(p for part in self.members for p in _player(part).parameters)
        return {MAIN: Player(tuple(together))}

    def after_step(self, progress: float) -> None:
        for part in self.members:
            part.after_step(progress)


def _names(methods: Sequence[str], title: str) -> tuple[str, ...]:
    names = tuple(METHODS.canonical(name) for name in methods)
    if len(names) < 2:
        raise InputError(f"{title} is made of two methods or more (got {list(names)})")
    if len(set(names)) < len(names):
        raise InputError(f"{title}: a method may be named once (got {list(names)})")
    return names


def _options(
    options: Mapping[str, Mapping[str, Any]], names: Sequence[str], title: str
) -> dict[str, Mapping[str, Any]]:
    by_name = {METHODS.canonical(name): values for name, values in options.items()}
    for name in by_name:
        if name not in names:
            raise unknown(f"method in the options of {title}", name, names)
    return by_name


def _part(name: str, encoder: Encoder, options: Mapping[str, Any], title: str) -> Method:
    """A method over an encoder.

    Raises:
        InputError: it is no method, does not train on nodes without labels, trains another encoder than this one, has
            several players or its own rate.
    """
    found: Any = METHODS.get(name)
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise InputError(f"{name} is not a method, so {title} cannot train by its loss")
    if found.needs_labels or not found.trains:
        raise InputError(f"{title} is made of self-supervised losses, which {name} does not have")
    if "node" not in found.levels:
        raise InputError(f"{title} is a method for nodes, but {name} is one for {' and '.join(found.levels)}s only")
    if issubclass(found, Joint):
        raise InputError(f"{name} is made of methods, and cannot be a part of itself or of {title}; name its methods")
    part = found(encoder, **validate(found, options, what=f"method {name}"))
    if part.encoder is not encoder:
        raise InputError(
            f"{name} trains another encoder than the one that it is given, so that {title} would learn nothing "
            "from it; leave it out"
        )
    players = part.players()
    if len(players) > 1:
        raise InputError(
            f"{title} updates everything together, but {name} has players that are updated in turn: "
            f"{', '.join(players)}; name methods without an adversary"
        )
    player = _player(part)
    if player.lr is not None or player.weight_decay is not None or player.groups:
        raise InputError(f"{title} updates everything alike, but {name} has a learning rate or weight decay of its own")
    return part


def _player(part: Method) -> Player:
    (player,) = part.players().values()
    return player
