"""From a configuration to a table of samplers: warm up on the whole graph, freeze, redraw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gssl.common.errors import InputError
from gssl.common.options import options_of
from gssl.common.seeds import derive_seed
from gssl.config import components
from gssl.config.options import settled
from gssl.config.record import RunConfig
from gssl.datasets.types import Dataset
from gssl.graph.precision import single_precision
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.supervised import Supervised
from gssl.registry import SAMPLERS
from gssl.samplers.full import FullBatch
from gssl.samplers.pair import PairSampler
from gssl.settings.problem import make_problem
from gssl.training.config import TrainConfig
from gssl.training.device import resolve_device
from gssl.training.loop import pretrain
from gssl.variance.frozen import FrozenMethod
from gssl.variance.measure import SamplerError, measure

Norms = Literal["fresh", "own"]


@dataclass(frozen=True)
class VarianceRequest:
    """What to measure.

    Attributes:
        samplers: names of samplers or pairs.
        batch_size: expected targets in a batch.
        draws: batches of each sampler.
        warmup: full-batch steps before the weights are frozen.
        views: draws of the views that the full gradient is a mean of (one for methods without randomness).
        norms: ``fresh`` gives minimal-variance selection the norms of all items at the frozen weights, which is the
            best that it can do; ``own`` leaves it to its own checkpoints.
        options: sampler options, each given to the samplers that have it.
        seed: decides everything.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    samplers: tuple[str, ...]
    batch_size: int = 512
    draws: int = 50
    warmup: int = 20
    views: int = 8
    norms: Norms = "fresh"
    options: tuple[tuple[str, object], ...] = ()
    seed: int = 0
    device: str = "cpu"


@single_precision()
def sampler_errors(
    request: VarianceRequest, config: RunConfig, dataset: Dataset, say: Callable[[str], None] = lambda _: None
) -> dict[str, SamplerError]:
    """Errors of each sampler's gradient, in the order of the request.

    Raises:
        InputError: a set of graphs, a method that does not train, an unknown sampler, an encoder that cannot take a
            sampler's batches, a setting of more than one training.
    """
    if dataset.level != "node":
        raise InputError(f"samplers draw nodes of one graph, but {dataset.name} is a set of graphs")
    if not components.method_class(config.method.name).trains:
        raise InputError(
            f"{config.method.name} does not train, so it has no gradients to compare; choose another method"
        )
    resolve_device(request.device)
    names = [SAMPLERS.canonical(name) for name in request.samplers]
    makers = {name: _maker(name, request) for name in names}
    training = make_problem(config, dataset).only_training(request.seed)
    method, graph, items = training.method(), training.dataset.graph, training.items

    def made(name: str) -> PairSampler:
        seed = derive_seed(request.seed, "sampler")
        how = {"batch_size": request.batch_size, "seed": seed, "num_layers": method.num_layers}
        sampler = makers[name](graph, items=items, **how)
        method.check_sampler(sampler)
        return sampler

    for name in names:
        made(name)  # what does not fit is refused before anything is trained
    frozen = _warmed_up(request, method, graph, config.train)
    stochastic = not isinstance(frozen.method, Supervised)
    truth = frozen.full_gradient(request.views if stochastic else 1)
    exact = frozen.layer_outputs(frozen.full)
    found: dict[str, SamplerError] = {}
    for name in names:
        say(f"{name}: {request.draws} batches")
        sampler = made(name)
        sampler.prefetch = 0  # its batches are timed
        frozen.settle(sampler)
        found[name] = measure(frozen, truth, exact, sampler, request.draws)
    return found


def _maker(name: str, request: VarianceRequest) -> Callable[..., PairSampler]:
    factory = SAMPLERS.get(name)
    known = options_of(factory)
    if "num_layers" not in known:
        raise InputError(f"{name} is not a pair of a selection and a propagation, so it has no variance to measure")
    given = {key: value for key, value in request.options if key in known}
    if request.norms == "fresh" and "norms" in known:
        given.setdefault("norms", "online")
    reserved = ("items", "batch_size", "seed", "num_layers")
    options = settled(factory, [given], what=f"sampler {name}", reserved=reserved)

    def make(*args: object, **more: object) -> PairSampler:
        sampler = factory(*args, **options, **more)
        assert isinstance(sampler, PairSampler)
        return sampler

    return make


def _warmed_up(request: VarianceRequest, method: Method, graph: Graph, given: TrainConfig) -> FrozenMethod:
    """The method after full-batch steps."""
    train = TrainConfig(epochs=request.warmup, lr=given.lr, weight_decay=given.weight_decay, optimizer="adam")
    pretrain(method, FullBatch(graph), train, seed=derive_seed(request.seed, "train"), device=request.device)
    method.eval()
    return FrozenMethod(method, graph, request.seed)


def known_options(samplers: Sequence[str]) -> set[str]:
    """Every option that one of the samplers has."""
    return {option for name in samplers for option in options_of(SAMPLERS.get(name))}
