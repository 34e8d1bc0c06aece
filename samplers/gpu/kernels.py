"""Triton kernels that grow a batch by one hop; the twins of :mod:`gssl.samplers.kernels.expand`, bit for bit.

A source that is new in a batch gets its number by the place where it first appears: every edge writes its place to the
slot of its source, the least one stays, and a running count of the edges that find their own place there is the number.
So the numbers depend on no order in which the device works. A slot holds the number of its node in the batch, or FREE,
which is larger than every number.

Pointers are named as the arrays of the numba kernels; ``limit`` points to the number of edges, which the host need not
know.
"""

from __future__ import annotations

from gssl.graph.gpu.support import Number, Values, constexpr, jit, language

tl = language()
FREE = 2**31 - 1


@jit
def _hash64(stream: Values, counter: Values) -> Values:
    """64 random bits (:func:`gssl.samplers.rng.hash64`); both arguments are uint64."""
    bits = stream + (counter + 1) * 0x9E3779B97F4A7C15
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB
    return bits ^ (bits >> 31)  # type: ignore[return-value]


@jit
def _uniform(stream: Values, counter: Values) -> Values:
    """Float64 in [0, 1); the product with a power of two is exact."""
    return (_hash64(stream, counter) >> 11).to(tl.float64) * 1.1102230246251565e-16  # type: ignore[no-any-return]


@jit
def row_extents(
    rowptr: Values,
    nodes: Values,
    start: Values,
    degree: Values,
    kept: Values,
    rows: Number,
    fanout: Number,
    BLOCK: constexpr,
) -> None:
    """Where the in-edges of BLOCK nodes begin, how many there are, and how many of them a hop keeps (-1: all)."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = row < rows
    node = tl.load(nodes + row, mask=live, other=0).to(tl.int64)
    begin = tl.load(rowptr + node, mask=live, other=0)
    count = tl.load(rowptr + node + 1, mask=live, other=0) - begin
    tl.store(start + row, begin, mask=live)
    tl.store(degree + row, count, mask=live)
    tl.store(kept + row, tl.where((fanout < 0) | (count < fanout), count, fanout), mask=live)


@jit
def pick_edges(
    col: Values,
    nodes: Values,
    start: Values,
    degree: Values,
    offsets: Values,
    position: Values,
    source: Values,
    slots: Values,
    stream: Number,
    rows: Number,
    count: Number,
    FANOUT: constexpr,
    WIDTH: constexpr,
    BLOCK: constexpr,
) -> None:
    """FANOUT edges of each of BLOCK rows (Floyd; Bentley, 1987), one lane a pick, and a claim for each source.

    The nodes are those of the rows, ``count`` those of the batch so far; WIDTH is FANOUT rounded up to a power of two.
    """
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = row < rows
    node = tl.load(nodes + row, mask=live, other=0)
    size = tl.load(degree + row, mask=live, other=0).to(tl.int32)
    begin = tl.load(start + row, mask=live, other=0).to(tl.int64)
    first = tl.load(offsets + row, mask=live, other=0).to(tl.int64)
    own = _hash64(stream.to(tl.uint64), node.to(tl.uint64))
    drawn_from = size > FANOUT
    lane = tl.arange(0, WIDTH)[None, :]
    picks = tl.broadcast_to(lane, (BLOCK, WIDTH))  # a row that keeps all its edges has them in order
    for i in range(FANOUT):
        last = size - FANOUT + i
        bits = _hash64(own, tl.zeros_like(own) + i) >> 32
        choice = ((bits * (last + 1).to(tl.uint64)) >> 32).to(tl.int32)
        before = (lane < i) & (picks == choice[:, None])
        again = tl.max(before.to(tl.int32), axis=1) > 0
        choice = tl.where(again, last, choice)
        picks = tl.where((lane == i) & drawn_from[:, None], choice[:, None], picks)
    there = live[:, None] & (lane < tl.minimum(size, FANOUT)[:, None])
    edge, place = begin[:, None] + picks, first[:, None] + lane
    found = tl.load(col + edge, mask=there, other=0)
    tl.store(position + place, edge.to(position.dtype.element_ty), mask=there)
    tl.store(source + place, found, mask=there)
    tl.atomic_min(slots + found.to(tl.int64), (count + place).to(tl.int32), mask=there)


@jit
def all_edges(
    col: Values,
    start: Values,
    offsets: Values,
    source: Values,
    slots: Values,
    rows: Number,
    edges: Number,
    count: Number,
    STEPS: constexpr,
    BLOCK: constexpr,
) -> None:
    """The sources of BLOCK edges of a hop that keeps every edge, and a claim for each.

    The row of an edge is found by halving, in STEPS steps, so that hubs are the work of many programs.
    """
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = place < edges
    low = tl.zeros_like(place)
    high = low + rows
    for _ in range(STEPS):
        middle = (low + high) // 2
        below = tl.load(offsets + middle, mask=live, other=0).to(tl.int64) <= place
        low = tl.where(below, middle, low)
        high = tl.where(below, high, middle)
    begin = tl.load(start + low, mask=live, other=0).to(tl.int64)
    edge = begin + place - tl.load(offsets + low, mask=live, other=0).to(tl.int64)
    found = tl.load(col + edge, mask=live, other=0)
    tl.store(source + place, found, mask=live)
    tl.atomic_min(slots + found.to(tl.int64), (count + place).to(tl.int32), mask=live)


@jit
def filtered_edges(
    col: Values,
    start: Values,
    degree: Values,
    chance: Values,
    offsets: Values,
    kept: Values,
    position: Values,
    source: Values,
    slots: Values,
    stream: Number,
    rows: Number,
    count: Number,
    room: Number,
    INNER: constexpr,
    FILL: constexpr,
    ROWS: constexpr,
    LANES: constexpr,
) -> None:
    """The edges of ROWS rows to sources that are in the batch (INNER), or whose number is below the row's chance.

    LANES edges of each row are looked at together. Without FILL the edges are counted. With it they are written, in
    their order and as far as there is room: which edge each is, and the number of its source (INNER), or the source
    itself with a claim.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    live = row < rows
    size = tl.load(degree + row, mask=live, other=0).to(tl.int64)
    begin = tl.load(start + row, mask=live, other=0).to(tl.int64)
    done = tl.zeros_like(begin)
    if FILL:
        done += tl.load(offsets + row, mask=live, other=0).to(tl.int64)
    if not INNER:
        bound = tl.load(chance + row, mask=live, other=0.0)[:, None]
    lane = tl.arange(0, LANES)[None, :]
    longest = tl.max(size, 0)
    e = longest * 0
    while e < longest:
        inside = live[:, None] & (e + lane < size[:, None])
        edge = begin[:, None] + e + lane
        node = tl.load(col + edge, mask=inside, other=0)
        number = node
        if INNER:
            number = tl.load(slots + node.to(tl.int64), mask=inside, other=2147483647)
            keep = inside & (number < 2147483647)
        else:
            keep = inside & (_uniform(stream.to(tl.uint64), node.to(tl.uint64)) < bound)
        if FILL:
            place = done[:, None] + tl.cumsum(keep.to(tl.int32), 1) - 1
            fits = keep & (place < room)
            tl.store(position + place, edge.to(position.dtype.element_ty), mask=fits)
            tl.store(source + place, number.to(source.dtype.element_ty), mask=fits)
            if not INNER:
                tl.atomic_min(slots + node.to(tl.int64), (count + place).to(tl.int32), mask=fits)
        done += tl.sum(keep.to(tl.int32), 1)
        e += LANES
    if not FILL:
        tl.store(kept + row, done.to(kept.dtype.element_ty), mask=live)


@jit
def claim(source: Values, slots: Values, edges: Number, count: Number, BLOCK: constexpr) -> None:
    """A claim for the source of each of BLOCK edges."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = place < edges
    found = tl.load(source + place, mask=live, other=0).to(tl.int64)
    tl.atomic_min(slots + found, (count + place).to(tl.int32), mask=live)


@jit
def first_places(
    source: Values, slots: Values, first: Values, limit: Values, room: Number, count: Number, BLOCK: constexpr
) -> None:
    """Whether each of BLOCK edges is the first one from a new source, int32; zero beyond the edges."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = place < tl.load(limit).to(tl.int64)
    found = tl.load(source + place, mask=live & (place < room), other=0).to(tl.int64)
    claimed = tl.load(slots + found, mask=live & (place < room), other=-1).to(tl.int64)
    tl.store(first + place, (claimed == count + place).to(tl.int32), mask=place < room)


@jit
def number_sources(
    source: Values,
    slots: Values,
    rank: Values,
    nodes: Values,
    local: Values,
    limit: Values,
    room: Number,
    count: Number,
    BLOCK: constexpr,
) -> None:
    """Numbers of the sources of BLOCK edges; new ones are appended to the nodes. ``rank``: running sum of ``first``."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = (place < tl.load(limit).to(tl.int64)) & (place < room)
    found = tl.load(source + place, mask=live, other=0)
    claimed = tl.load(slots + found.to(tl.int64), mask=live, other=0).to(tl.int64)
    new = live & (claimed >= count)
    order = tl.load(rank + tl.where(new, claimed - count, 0), mask=new, other=0).to(tl.int64)
    number = tl.where(new, count + order - 1, claimed)
    tl.store(local + place, number.to(local.dtype.element_ty), mask=live)
    tl.store(nodes + number, found, mask=new & (claimed == count + place))


@jit
def settle(
    nodes: Values,
    slots: Values,
    rank: Values,
    rowptr: Values,
    limit: Values,
    told: Values,
    room: Number,
    count: Number,
    BLOCK: constexpr,
) -> None:
    """The slots of BLOCK new nodes get their numbers. ``told``: edges, new nodes, in-edges of these; int64, zeros."""
    edges = tl.load(limit).to(tl.int64)
    seen = tl.minimum(edges, room)
    new = tl.load(rank + seen - 1, mask=seen > 0, other=0).to(tl.int64)
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = place < new
    node = tl.load(nodes + count + place, mask=live, other=0).to(tl.int64)
    tl.store(slots + node, (count + place).to(tl.int32), mask=live)
    begin = tl.load(rowptr + node, mask=live, other=0).to(tl.int64)
    incoming = tl.load(rowptr + node + 1, mask=live, other=0).to(tl.int64) - begin
    tl.atomic_add(told + 2, tl.sum(incoming, 0))
    if tl.program_id(0) == 0:
        tl.store(told, edges)
        tl.store(told + 1, new)
