"""Seeded random graphs of any size: contextual and degree-corrected block models, and R-MAT.

By name with options: ``csbm:nodes=10000,classes=5,seed=1``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from gssl.common.errors import InputError
from gssl.common.options import Fraction, NonNegative, NonNegativeInt, Positive, PositiveInt, options_of, validate
from gssl.common.seeds import derive_seed
from gssl.datasets.assemble import Arrays, build
from gssl.datasets.labels import make_labels
from gssl.datasets.types import Dataset

_ROUNDS = 200


def generate(
    name: str, generator: Callable[..., Dataset], text: str, load: Callable[[str], Dataset] | None = None
) -> Dataset:
    """Run a generator with options as they stand in a dataset's name.

    Args:
        name: of the generator.
        generator: one of the functions below; or a function that draws from a model of other data, which takes first
            what loads these, and whose option ``data`` may stand without its name.
        text: ``option=value`` pairs, separated by commas; empty for the defaults.
        load: gives data by name, for generators that need some.

    Raises:
        InputError: an unknown option, a value of the wrong type or out of range, a text of another form, or no data for
            a generator that needs some.
    """
    options = options_of(generator)
    fitted = "data" in options
    values: dict[str, object] = {}
    for number, pair in enumerate(filter(None, text.split(","))):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if fitted and not number and not equals:
            key, equals, value = "data", "=", key
        if not equals:
            known = ", ".join(options)
            raise InputError(f"write options of {name} as {name}:option=value,option=value; known: {known}")
        if key in values:
            raise InputError(f"dataset {name}: {key} is given twice; keep one")
        values[key] = value
    checked = validate(generator, values, what=f"dataset {name}")
    if not fitted:
        return generator(**checked)
    if "data" not in checked or load is None:
        raise InputError(f"{name} is drawn from a model of other data: say which, as in {name}:Cora")
    return generator(load, **checked)


def csbm(
    *,
    nodes: PositiveInt = 1000,
    classes: PositiveInt = 2,
    degree: NonNegative = 10.0,
    homophily: Fraction = 0.8,
    features: PositiveInt = 64,
    signal: NonNegative = 1.0,
    seed: NonNegativeInt = 0,
) -> Dataset:
    """Contextual stochastic block model (Deshpande et al., 2018, arXiv:1807.09596) with any number of classes.

    Every pair of nodes is joined independently, with one probability within classes and one between them.

    Args:
        nodes: number of nodes.
        classes: classes of (almost) equal size.
        degree: expected neighbours of a node.
        homophily: expected share of a node's neighbours that are of its class.
        features: feature dimension; a node's features are its class mean plus standard normal noise.
        signal: length of each class mean, in standard deviations of the noise.
        seed: everything random.
    """
    name = _name("csbm", csbm, locals())
    rng = _rng("csbm", seed)
    labels = rng.permutation(np.arange(nodes) % classes)
    by_class = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels, minlength=classes)
    pairs = nodes * (nodes - 1) // 2
    within = int((sizes * (sizes - 1) // 2).sum())
    edges_within, edges_between = homophily * nodes * degree / 2, (1 - homophily) * nodes * degree / 2
    if edges_within > within or edges_between > pairs - within:
        raise InputError(f"{name}: there are too few pairs of nodes for degree {degree} with homophily {homophily}")
    inner = _distinct(rng, _binomial(rng, within, edges_within), within)
    outer = _distinct(
        rng,
        _binomial(rng, pairs - within, edges_between),
        pairs,
        lambda index: np.not_equal(*(labels[end] for end in _pair(index))),
    )
    edges = np.concatenate([by_class[_pair_within(inner, sizes)], np.stack(_pair(outer))], axis=1)
    return _dataset(name, rng, edges, labels, classes, features, signal)


def dcsbm(
    *,
    nodes: PositiveInt = 1000,
    classes: PositiveInt = 2,
    degree: NonNegative = 10.0,
    homophily: Fraction = 0.8,
    exponent: Positive = 2.5,
    features: PositiveInt = 64,
    signal: NonNegative = 1.0,
    seed: NonNegativeInt = 0,
) -> Dataset:
    """Degree-corrected block model (Karrer and Newman, 2011, arXiv:1008.3926) with features as in the CSBM.

    Expected degrees follow a power law, cut off at ``sqrt(nodes * degree)``. Edges are drawn as a Poisson
    multigraph, of which loops and repeats are dropped, so the mean degree falls a little short.

    Args:
        nodes: number of nodes.
        classes: classes of (almost) equal size.
        degree: expected neighbours of a node, before repeats are dropped.
        homophily: expected share of edges within classes.
        exponent: of the power law, above 2.
        features: feature dimension.
        signal: length of each class mean, in standard deviations of the noise.
        seed: everything random.
    """
    name = _name("dcsbm", dcsbm, locals())
    if exponent <= 2:
        raise InputError(f"{name}: the exponent must be above 2, or the mean degree has no limit")
    rng = _rng("dcsbm", seed)
    labels = np.sort(rng.permutation(np.arange(nodes) % classes))
    propensity = (1 - rng.random(nodes)) ** (-1 / (exponent - 1))
    propensity = np.minimum(propensity, np.sqrt(nodes / max(degree, 1.0)) * propensity.mean())
    reach = np.concatenate([[0.0], np.cumsum(propensity)])
    bounds = np.searchsorted(labels, np.arange(classes + 1))
    low, high = reach[bounds[:-1]], reach[bounds[1:]]
    count = int(rng.poisson(nodes * degree / 2))
    source = locate(reach, rng.random(count) * reach[-1])
    own = labels[source]
    same = (rng.random(count) < homophily) | (classes == 1)
    inside = low[own] + rng.random(count) * (high - low)[own]
    outside = rng.random(count) * (reach[-1] - (high - low)[own])
    outside += np.where(outside >= low[own], (high - low)[own], 0.0)
    target = locate(reach, np.where(same, inside, outside))
    return _dataset(name, rng, simple_edges(np.stack([source, target]), nodes), labels, classes, features, signal)


def rmat(
    *,
    nodes: PositiveInt = 1024,
    degree: NonNegative = 16.0,
    a: Fraction = 0.57,
    b: Fraction = 0.19,
    c: Fraction = 0.19,
    classes: PositiveInt = 4,
    features: PositiveInt = 64,
    signal: NonNegative = 1.0,
    seed: NonNegativeInt = 0,
) -> Dataset:
    """R-MAT (Chakrabarti et al., 2004, SIAM SDM): skewed degrees and communities within communities.

    Args:
        nodes: number of nodes; ids beyond it are drawn anew where it is no power of 2.
        degree: mean number of neighbours, exactly (to one edge): repeats are drawn anew.
        a, b, c: probabilities of the quadrants (0, 0), (0, 1) and (1, 0) of the adjacency matrix; the rest falls
            to (1, 1). The defaults are Graph500's.
        classes: blocks of consecutive ids, which are the communities of a recursive matrix.
        features: feature dimension, as in the CSBM.
        signal: length of each class mean, in standard deviations of the noise.
        seed: everything random.
    """
    name = _name("rmat", rmat, locals())
    if a + b + c > 1:
        raise InputError(f"{name}: a + b + c must not be above 1")
    wanted = round(nodes * degree / 2)
    if degree > (nodes - 1) / 4:
        raise InputError(f"{name}: degree {degree:g} is too high for {nodes} nodes: at most {(nodes - 1) / 4:g}")
    rng = _rng("rmat", seed)
    bits = max(1, int(nodes - 1).bit_length())
    found = np.empty(0, dtype=np.int64)
    for _ in range(_ROUNDS):
        need = wanted - len(found)
        if need <= 0:
            break
        drawn = _quadrants(rng, int(1.3 * need) + 64, bits, (a, b, c))
        drawn = simple_edges(drawn[:, (drawn < nodes).all(axis=0)], nodes)
        found = _sorted_set(np.concatenate([found, drawn[0] * nodes + drawn[1]]))
    else:
        raise InputError(f"{name}: with this skew there are too few different edges: lower the degree")
    found = rng.permutation(found)[:wanted]
    labels = np.arange(nodes) * classes // nodes
    return _dataset(name, rng, np.stack([found // nodes, found % nodes]), labels, classes, features, signal)


def _dataset(
    name: str, rng: np.random.Generator, edges: np.ndarray, y: np.ndarray, classes: int, features: int, signal: float
) -> Dataset:
    """A dataset from one direction of each edge, shape (2, num_edges)."""
    means = rng.standard_normal((classes, features), dtype=np.float32)
    means *= np.float32(signal) / np.linalg.norm(means, axis=1, keepdims=True)
    x = rng.standard_normal((len(y), features), dtype=np.float32)
    x += means[y]
    both = np.concatenate([edges, edges[::-1]], axis=1).astype(np.int64)
    arrays = Arrays(edge_index=both, x=x, notes=("generated",))
    labels = make_labels(torch.from_numpy(y.astype(np.int64)), len(y), kind="multiclass")
    return build(arrays, name=name, level="node", labels=labels, metric="accuracy")


def _name(name: str, generator: Callable[..., Dataset], values: dict[str, object]) -> str:
    """The name under which the same graph is found again: options that differ from their defaults."""
    changed = [f"{o.name}={values[o.name]}" for o in options_of(generator).values() if values[o.name] != o.default]
    return f"{name}:{','.join(changed)}" if changed else name


def _rng(name: str, seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(derive_seed(seed, name)))


def _binomial(rng: np.random.Generator, trials: int, mean: float) -> int:
    return int(rng.binomial(trials, mean / trials)) if trials else 0


def _distinct(
    rng: np.random.Generator, count: int, population: int, valid: Callable[[np.ndarray], np.ndarray] | None = None
) -> np.ndarray:
    """``count`` different numbers below ``population``, uniformly among those that are valid."""
    if 4 * count > population:
        everything = np.arange(population)
        everything = everything if valid is None else everything[valid(everything)]
        return np.asarray(rng.choice(everything, count, replace=False))
    found = np.empty(0, dtype=np.int64)
    while len(found) < count:
        drawn = rng.integers(population, size=int(1.2 * (count - len(found))) + 16)
        found = _sorted_set(np.concatenate([found, drawn if valid is None else drawn[valid(drawn)]]))
    chosen: np.ndarray = rng.permutation(found)[:count]
    return chosen


def _pair(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The index-th pair (i, j) with i > j, in the order (1, 0), (2, 0), (2, 1), (3, 0), ..."""
    high = ((1 + np.sqrt(1.0 + 8.0 * index)) // 2).astype(np.int64)
    high -= high * (high - 1) // 2 > index  # where the argument of the root was rounded up
    return high, index - high * (high - 1) // 2


def _pair_within(index: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The index-th pair of positions in the same block, blocks one after the other; shape (2, len(index))."""
    before = np.concatenate([[0], np.cumsum(sizes * (sizes - 1) // 2)])
    block = np.searchsorted(before, index, side="right") - 1
    start = np.concatenate([[0], np.cumsum(sizes)])[block]
    pairs: np.ndarray = np.stack(_pair(index - before[block])) + start
    return pairs


def locate(reach: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The interval of each place, where interval i is [reach[i], reach[i + 1])."""
    interval: np.ndarray = np.clip(np.searchsorted(reach, place, side="right") - 1, 0, len(reach) - 2)
    return interval


def simple_edges(edges: np.ndarray, nodes: int) -> np.ndarray:
    """Each undirected edge once, without loops; shape (2, num_edges)."""
    low, high = np.minimum(*edges), np.maximum(*edges)
    key = _sorted_set((low * nodes + high)[low != high])
    return np.stack([key // nodes, key % nodes])


def _sorted_set(values: np.ndarray) -> np.ndarray:
    """What ``np.unique`` returns, by sorting: its hash table is 10 times slower on millions of edges."""
    values = np.sort(values)
    return values[np.flatnonzero(np.diff(values, prepend=-1))]


def _quadrants(rng: np.random.Generator, count: int, bits: int, shares: tuple[float, float, float]) -> np.ndarray:
    """Edges whose ends descend ``bits`` times into a quadrant; shape (2, count), int64."""
    a, b, c = shares
    ends = np.zeros((2, count), dtype=np.int64)
    for _ in range(bits):
        place = rng.random(count, dtype=np.float32)
        ends <<= 1
        ends[0] += place >= a + b
        ends[1] += ((place >= a) & (place < a + b)) | (place >= a + b + c)
    return ends
