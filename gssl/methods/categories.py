"""What methods need that predict, or tell apart, atoms: nodes that are described by categories."""

from __future__ import annotations

from gssl.common.errors import InputError
from gssl.graph.spec import Category, GraphSpec
from gssl.models.encoder import Encoder

_DATA = "use molecules: a MoleculeNet set, MOSES, ZINC, ogbg-molhiv, ogbg-molpcba or a file of SMILES"


def categorical(encoder: Encoder, method: str, *, edges: bool = False) -> GraphSpec:
    """The spec of the data that an encoder was made for, which must be described by categories.

    Args:
        encoder: of the method.
        method: how messages name it.
        edges: whether the edges must have categories, too.

    Raises:
        InputError: they are not, or the encoder does not know its data.
    """
    spec = encoder.spec
    if spec is None:
        raise InputError(
            f"{method} must know the categories of the nodes, but its encoder was made without them; "
            f"make it with {type(encoder).__name__}.for_graph(dataset.spec)"
        )
    if not spec.nodes:
        raise InputError(
            f"{method} needs nodes that are described by categories, as atoms are, but the {spec.in_dim} features of "
            f"these data are not known to be categories; {_DATA}"
        )
    if edges and not spec.edges:
        raise InputError(
            f"{method} needs edges that are described by categories, as bonds are, and these data have none; {_DATA}, "
            "or leave the edges out"
        )
    return spec


def place_of(name: str, categories: tuple[Category, ...]) -> int:
    """Position of the category of that name.

    Raises:
        InputError: there is none.
    """
    names = [category.name for category in categories]
    if name not in names:
        raise InputError(f"there is no category {name!r}; those of these data are {', '.join(names)}")
    return names.index(name)
