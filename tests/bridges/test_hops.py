"""How far mail goes: in every shape, for every number of hops that bridges allow, to an
agent, as a question with its answer, and to a topic."""

from __future__ import annotations

from collections import deque
from contextlib import closing
from itertools import combinations, permutations
from typing import Final

import pytest

from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster
from tests.bridges.telling import told
from tests.broker.harness import Delivered

MOST_HOPS: Final = (1, 2, 3, 8)
"""8 is as much as the protocol allows."""

SHAPES: Final = {
    "pair": ["ab"],
    "ring of 3": ["ab", "bc", "ca"],
    "ring of 6": ["ab", "bc", "cd", "de", "ef", "fa"],
    "diamond": ["ab", "ac", "bd", "cd"],
    "mesh of 4": ["".join(pair) for pair in combinations("abcd", 2)],
    "star": ["ma", "mb", "mc", "md"],
    "line of 4": ["ab", "bc", "cd"],
}


def ways(shape: str) -> dict[str, dict[str, list[str]]]:
    """From each network to each other, the networks on a shortest way."""
    near: dict[str, list[str]] = {}
    for a, b in map(tuple, SHAPES[shape]):
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    found: dict[str, dict[str, list[str]]] = {}
    for start in near:
        reached, waiting = {start: [start]}, deque([start])
        while waiting:
            here = waiting.popleft()
            for there in near[here]:
                if there not in reached:
                    reached[there] = [*reached[here], there]
                    waiting.append(there)
        found[start] = reached
    return found


def town(shape: str, most: int, *, seed: int = 0) -> Cluster:
    """One agent `x` in each network; rules lead by the shortest ways."""
    known = ways(shape)
    made = Cluster(*sorted(known), seed=seed)
    for name in known:
        made.people(f"x@{name}")
        made.nets[name].call(b"x", "join", "**")
    for a, b in map(tuple, SHAPES[shape]):
        texts = ["* <-> *", "*@* -> #** transit", "#** <- *@* transit"]
        for here, arrow, there in ((a, "->", b), (b, "<-", a)):
            for far, way in known[here].items():
                if len(way) > 1 and way[1] == there:
                    side = f"*@* -> *@{far}" if arrow == "->" else f"*@{far} <- *@*"
                    texts.append(f"{side} transit")
        made.bridge(a, b, *texts, terms=Terms(max_hops=most))
    return made


@pytest.mark.parametrize("most", MOST_HOPS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_question_goes_as_far_as_it_may_and_its_answer_comes_back(
    shape: str, most: int
) -> None:
    """What may not go that far comes back itself. An answer goes the whole way."""
    known = ways(shape)
    with closing(town(shape, most)) as made:
        for here, there in permutations(sorted(known), 2):
            way = known[here][there]
            ask(made, here, there)
            found = made.read(f"x@{there}")
            if len(way) - 1 > most:
                assert found == []
                assert told(made.read(f"x@{here}")) == [("bounce", "5.4.6")]
                continue
            (question,) = found
            assert hops(question) == way[:-1]
            answer = {"kind": "reply", "reply_to": question.header.id}
            assert made.send(f"x@{there}", f"x@{here}", **answer) == "accepted"
            made.run()
            (answered,) = made.read(f"x@{here}")
            assert hops(answered) == way[:0:-1]


def ask(made: Cluster, here: str, there: str) -> None:
    said = made.send(f"x@{here}", f"x@{there}", kind="request")
    assert said == "accepted"
    made.run()


def hops(mail: Delivered) -> list[str]:
    return [hop.partition("/")[0] for hop in mail.header.hops or ()]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("most", MOST_HOPS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_topic_is_read_once_wherever_it_may_go(
    shape: str, most: int, seed: int
) -> None:
    """And over no link more than once, however many ways lead to a network."""
    known = ways(shape)
    for start in (min(known), max(known)):
        with closing(town(shape, most, seed=seed)) as made:
            assert made.send(f"x@{start}", "#news") == "accepted"
            made.run()
            read = {name: len(made.read(f"x@{name}")) for name in known}
            near = [n for n, way in known[start].items() if 1 < len(way) <= most + 1]
            assert read == {name: int(name in near) for name in known}
            assert all(len(wire.handed) <= 1 for wire in made.wires)
