"""Bugs of what passes between networks: who leads, what may pass, how it is told."""

from __future__ import annotations

from typing import Any

from ipcbus.broker.border import Border
from ipcbus.broker.crossing import Crossing
from ipcbus.broker.links import Link as BrokerLink
from ipcbus.broker.sending import Sending
from ipcbus.protocol.messages import TRUST_LOCAL
from ipcbus_bridges.rules import LinkRules
from tests.sim.planting import Bugs, nothing, yes

BUGS = Bugs()

# --- hops, rules, rights ----------------------------------------------------------


def _last_hop_only(real: Any, border: Any, link: Any, move: Any) -> Any:
    said = real(border, link, move)
    return said._replace(hops=said.hops[-1:])


BUGS.plant(
    "hops-forgotten",
    "the hops of a message are told in full",
    (Border, "read", _last_hop_only),
)


def _no_hops(real: Any, rules: Any, facts: Any, *rest: Any) -> Any:
    return real(rules, facts._replace(hops=0), *rest)


BUGS.plant(
    "max-hops-ignored",
    "mail goes no farther than its rule says",
    (LinkRules, "_bounded", _no_hops),
)


def _allowed(
    real: Any, rules: Any, some: Any, near: Any, *rest: Any, **options: Any
) -> Any:
    near = tuple(rule for rule in near if rule.allow)
    return real(rules, some, near, *rest, **options)


BUGS.plant(
    "deny-ignored",
    "any deny that matches refuses",
    (LinkRules, "_first", _allowed),
)
BUGS.plant(
    "owner-not-asked",
    "the owner's grant says who may write out of a network",
    (BrokerLink, "passes", yes),
)
BUGS.plant(
    "answers-not-counted",
    "a message grants so many answers and no more",
    (Sending, "_use", nothing),
)


def _bare_sender(real: Any, *args: Any) -> Any:
    header = real(*args)
    return header._replace(sender=header.sender.partition("@")[0])


BUGS.plant(
    "foreign-sender-bare",
    "a foreign sender is shown in full",
    (Crossing, "_header", _bare_sender),
)


def _trusted(real: Any, *args: Any) -> Any:
    return real(*args)._replace(trust=TRUST_LOCAL)


BUGS.plant(
    "foreign-trusted",
    "what comes from elsewhere is marked as foreign",
    (Crossing, "_header", _trusted),
)
