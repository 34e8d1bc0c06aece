"""Which non-zeros stay when some are dropped, and the numbers that the host must know of them, read together."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Mask:
    """Non-zeros of one pattern that are to stay.

    Attributes:
        keep: shape (nnz,), bool.
        ends: number of rows -> non-zeros in the first so many rows, of which the same must be known afterwards.
        order: where the non-zeros of the transpose stand here, shape (nnz,), int64; None where it is not known.
        turned_ends: as ``ends``, of the transpose.
    """

    keep: Tensor
    ends: Mapping[int, int] = field(default_factory=dict)
    order: Tensor | None = None
    turned_ends: Mapping[int, int] = field(default_factory=dict)


class Later:
    """An integer that the host reads with what else it waits for next, at the latest when ``int()`` asks for it.

    Args:
        number: shape (), an integer. On a device all that this thread asked for so is read for one wait.

    Example:
        >>> int(Later(torch.tensor(3)))
        3
    """

    def __init__(self, number: Tensor) -> None:
        self.number = number
        self.told: int | None = None
        if number.device.type != "cpu":
            _unread().append(weakref.ref(self))

    def __int__(self) -> int:
        if self.told is None and self.number.device.type == "cpu":
            self.told = int(self.number)
        if self.told is None:
            _read(self)
        assert self.told is not None
        return self.told


@dataclass(frozen=True, eq=False)
class Kept:
    """What stays of one pattern.

    Attributes:
        keep: shape (nnz,), bool.
        places: where it is set, shape (nnz',), int64.
        ends: as in :class:`Mask`, of what stays.
        turned_ends: those of the transpose of what stays.
    """

    keep: Tensor
    places: Tensor
    ends: dict[int, int] = field(default_factory=dict)
    turned_ends: dict[int, int] = field(default_factory=dict)


def kept_of(masks: Sequence[Mask]) -> list[Kept]:
    """What several masks leave. The host waits for a device once, whatever their number."""
    return kept_beside(masks, ())[0]


def kept_beside(
    masks: Sequence[Mask], asked: Sequence[Tensor], numbers: Sequence[Tensor] = ()
) -> tuple[list[Kept], tuple[Tensor, ...], tuple[int, ...]]:
    """What several masks leave, and more that is asked for the same wait.

    Args:
        masks: of patterns.
        asked: further masks (n,), bool.
        numbers: integers on the device.

    Returns:
        What the masks leave, where each further one is set (count,), int64, and what the numbers are.
    """
    return kept_later(masks, asked, numbers)()


def kept_later(
    masks: Sequence[Mask], asked: Sequence[Tensor], numbers: Sequence[Tensor] = ()
) -> Callable[[], tuple[list[Kept], tuple[Tensor, ...], tuple[int, ...]]]:
    """What gives the answer of :func:`kept_beside`, for which a device is waited for with what is asked meanwhile."""
    ends = [] if not masks or masks[0].keep.device.type == "cpu" else [end for mask in masks for end in _ends(mask)]
    read = places_later([*(mask.keep for mask in masks), *asked], [*ends, *numbers])

    def answer() -> tuple[list[Kept], tuple[Tensor, ...], tuple[int, ...]]:
        places, told = read()
        known, found = iter(told[: len(ends)]), []
        for mask, place in zip(masks, places, strict=False):
            if not ends:  # of which nothing is to be known, or offsets are at hand
                found.append(Kept(mask.keep, place))
                continue
            first = {rows: next(known) for rows in mask.ends}
            found.append(Kept(mask.keep, place, first, {rows: next(known) for rows in mask.turned_ends}))
        return found, places[len(masks) :], told[len(ends) :]

    return answer


def places_of(*masks: Tensor) -> tuple[Tensor, ...]:
    """Where masks (n,), bool, are set, each (count,), int64. The host waits for a device once, however many there are.

    Example:
        >>> places_of(torch.tensor([True, False, True]), torch.tensor([False, True]))
        (tensor([0, 2]), tensor([1]))
    """
    if len(masks) < 2 and not _unread():
        return tuple(mask.nonzero().squeeze(1) for mask in masks)
    return places_beside(masks, ())[0]


def places_beside(masks: Sequence[Tensor], numbers: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """Where masks (n,), bool, are set, each (count,), int64, and what integers () on the device are, for one wait."""
    return places_later(masks, numbers)()


def places_later(
    masks: Sequence[Tensor], numbers: Sequence[Tensor]
) -> Callable[[], tuple[tuple[Tensor, ...], tuple[int, ...]]]:
    """What gives the answer of :func:`places_beside`, for which a device is waited for with what is asked meanwhile."""
    away = bool(masks) and masks[0].device.type != "cpu"
    counts: Sequence[Later | int] = [Later(mask.count_nonzero()) for mask in masks] if away else [0] * len(masks)
    asked = [Later(number) for number in numbers]

    def answer() -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        places = tuple(true_places(mask, int(count)) for mask, count in zip(masks, counts, strict=True))
        return places, tuple(map(int, asked))

    return answer


def occurrences(index: Tensor, size: int) -> Tensor:
    """How often each number is there, shape (size,), int64, without waiting for a device as a bincount does.

    Args:
        index: numbers below ``size``, shape (n,), int32 or int64.
        size: of the result.
    """
    if index.device.type == "cpu":
        return torch.bincount(index, minlength=size)
    counts = torch.zeros(size, dtype=torch.int64, device=index.device)
    return counts.index_add_(0, index, torch.ones_like(index, dtype=torch.int64))


def true_places(keep: Tensor, count: int) -> Tensor:
    """Where a mask (n,) is set, shape (count,), int64, without waiting for a device.

    Args:
        keep: bool.
        count: how often it is set.
    """
    if keep.device.type == "cpu":
        return keep.nonzero().squeeze(1)
    return torch.nonzero_static(keep, size=count).squeeze(1)


_PENDING = threading.local()  # another thread may be on another stream, where a number is not made yet


def _unread() -> list[weakref.ref[Later]]:
    """What this thread has asked for and not read yet; what nobody holds any more is not read."""
    found: list[weakref.ref[Later]] = _PENDING.__dict__.setdefault("asked", [])
    return found


def _read(wanted: Later) -> None:
    """Tell a number, and all others of its device that this thread has asked for, for one wait."""
    asked = [later for later in (ref() for ref in _unread()) if later is not None and later is not wanted]
    ours = [wanted, *(later for later in asked if later.number.device == wanted.number.device)]
    _PENDING.asked = [weakref.ref(later) for later in asked if later.number.device != wanted.number.device]
    for later, number in zip(ours, torch.stack([later.number.long() for later in ours]).tolist(), strict=True):
        later.told = number


def _ends(mask: Mask) -> Iterator[Tensor]:
    """How many non-zeros stay in the first rows of a pattern, and in those of its transpose."""
    for end in mask.ends.values():
        yield mask.keep[:end].count_nonzero()
    for end in mask.turned_ends.values():
        yield mask.keep[_order(mask)[:end]].count_nonzero()


def _order(mask: Mask) -> Tensor:
    assert mask.order is not None
    return mask.order
