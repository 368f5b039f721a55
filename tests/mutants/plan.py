"""Which files are mutated, and which tests should kill their mutants.

They are the quickest that can: of the file itself and of what is made of it, and some
walks of the simulator, whose seeds are fixed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

QUICK: Final = ("-k", "not sqlite and not TestCore")
"""The store in memory is enough, and the random machine of the core takes longer than
all other tests of it together; the walks do what it does."""

MODEL: Final = tuple(
    f"tests/bridges/test_model.py::test_whatever_happens_{walk}"
    for walk in (
        "all_mail_ends_once_and_in_order[0]",
        "all_mail_ends_once_and_in_order[1]",
        "for_long_too[100]",
    )
)


def _files(folder: str, names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/test_{name}.py" for name in names.split())


CORE: Final = (*QUICK, "tests/broker", "--ignore=tests/broker/test_soup.py")

CROSSING: Final = (
    *QUICK,
    *_files(
        "tests/bridges", "answers crossing forgeries guards history holding verdicts"
    ),
    *_files("tests/bridges", "refusing topologies twins no_room loop_notices"),
    *_files("tests/bridges", "handed_over"),
    *_files("tests/bridges", "rights ways_closed near_names traces"),
    *MODEL,
)

PATTERNS: Final = _files("tests/bridges", "patterns globs")

GROUPS: Final = _files("tests/bridges", "groups")

BOUNDS: Final = _files("tests/broker", "rates pauses paused_alone sending")

GRANTS: Final = _files("tests/bridges", "grants grant_words")

ALL: Final = (*CORE, *CROSSING)
"""With links, of which the core knows as well."""

RULES: Final = (
    *_files("tests/bridges", "rules rulefile shortform rule_words"),
    "--deselect=tests/bridges/test_rules.py"
    "::test_many_pairs_and_rules_cost_neither_time_nor_memory",
)
"""But for one that measures, which kills by chance where others work beside it."""


class Target(NamedTuple):
    """A file, and its tests as pytest takes them."""

    file: str
    tests: tuple[str, ...]


def _of(folder: str, names: str, tests: tuple[str, ...]) -> list[Target]:
    return [Target(f"{folder}/{name}.py", tests) for name in names.split()]


TARGETS: Final = (
    *_of("bridges/ipcbus_bridges", "patterns", (*PATTERNS, *RULES)),
    *_of("bridges/ipcbus_bridges", "rule rules", RULES),
    *_of("bridges/ipcbus_bridges", "groups", GROUPS),
    *_of("ipcbus/broker", "grants", GRANTS),
    *_of("ipcbus/broker", "rates pauses", (*QUICK, *BOUNDS)),
    *_of("ipcbus/broker", "border crossing", CROSSING),
    *_of("ipcbus/broker", "leasing sending delivery mailbox", ALL),
    *_of("ipcbus/broker", "rights trail returns routing", ALL),
)
