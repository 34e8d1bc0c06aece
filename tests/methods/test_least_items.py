"""Methods that compare the nodes of a batch refuse batches of one, from which they would learn nothing."""

import pytest

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.method import Method
from gssl.methods.gmi import GMI
from gssl.methods.sugrl import SUGRL
from gssl.registry import ENCODERS, METHODS, SAMPLERS
from gssl.testing.toy import toy_graph

COMPARING = [
    name for name in METHODS.names() if METHODS.get(name).least_items > 1 and "node" in METHODS.get(name).levels
]


def make(kind: type[Method], **options: object) -> Method:
    encoder = ENCODERS.get(kind.default_encoder)
    made = encoder(toy_graph().in_dim, **validate(encoder, {"hidden_dim": 8}, what="encoder"))
    return kind(made, **validate(kind, options, what=kind.__name__))


def test_those_with_negatives_of_the_batch_say_so() -> None:
    assert {"DGI", "GRACE", "GCA", "SUBG-CON", "G-BT", "CCA-SSG", "COSTA", "ProGCL", "GraphACL"} <= set(COMPARING)


@pytest.mark.parametrize("name", COMPARING)
def test_a_batch_of_one_node_is_refused(name: str) -> None:
    method = make(METHODS.get(name))
    sampler = SAMPLERS.get("uniform+induced")(toy_graph(), num_layers=method.num_layers, batch_size=1)
    with pytest.raises(InputError, match="a batch has only 1; use --batch-size 2 at least"):
        method.check_sampler(sampler)


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        (GMI, ("own_weight", "near_weight", "edge_weight")),
        (SUGRL, ("positive_weight", "near_weight", "bound_weight")),
    ],
)
def test_a_loss_without_terms_is_refused(kind: type[Method], weights: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=f"nothing to learn: give {weights[0]}"):
        make(kind, **dict.fromkeys(weights, 0.0))
    make(kind, **dict.fromkeys(weights[1:], 0.0))
