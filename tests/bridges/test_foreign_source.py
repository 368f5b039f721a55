"""Foreign networks as the source of a link: what they give, and how it is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus import links
from ipcbus.errors import InvalidMessage, NotPermitted, UsageError
from ipcbus.protocol.crossing import read_move
from ipcbus.protocol.messages import FLAG_GRANTED
from ipcbus_bridges import foreign
from ipcbus_bridges.foreign import Foreign, Mail, NotTaken, find_end
from ipcbus_bridges.mail import go_out
from ipcbus_bridges.moving import Moving
from ipcbus_bridges.rules import Rules
from tests.bridges.shelf import LOTS, WAIT_S, Shelf, mail, opened, settle
from tests.waiting import until

# --- what goes out -----------------------------------------------------------------


def test_nothing_goes_out_without_credit() -> None:
    shelf = Shelf()
    shelf.waits = [mail()]
    with opened(shelf) as ear:
        ear.nothing()
        shelf.credit(*LOTS)
        (deliver,) = ear.next(links.Delivered)
    (header,) = deliver.headers
    assert (header.id, header.sender, header.to) == ("n1", "reader", "bob@dev")
    assert (deliver.seqs, deliver.attempts, deliver.bodies) == ([1], [1], [b"text"])


def test_what_is_under_way_is_not_given_again_and_is_forgotten_when_it_is_over() -> (
    None
):
    shelf = Shelf()
    shelf.waits = [mail("n1"), mail("n2"), mail("n3")]
    with opened(shelf) as ear:
        shelf.credit(*LOTS)
        assert ear.next(links.Delivered).deliver.seqs == [1, 2, 3]
        ear.nothing()
        settle(shelf, "accepted", 1)
        assert ear.next(links.Taken) == links.Taken(7)
        settle(shelf, "filtered", 2)
        ear.next(links.Taken)
        settle(shelf, "refused", 3)
        ear.next(links.Taken)
        ear.nothing()
    assert shelf.over == ["n1", "n2", "n3: 5.1.1 nobody"]


def test_credit_bounds_messages_and_bytes() -> None:
    shelf = Shelf()
    shelf.waits = [mail(f"n{number}") for number in range(9)]
    with opened(shelf) as ear:
        shelf.credit(2, 1 << 20)
        assert ear.next(links.Delivered).deliver.seqs == [1, 2]
        settle(shelf, "accepted", 1, 2)
        ear.next(links.Taken)
        assert ear.next(links.Delivered).deliver.seqs == [3, 4]
        shelf.credit(9, 10)  # each has 4 bytes
        settle(shelf, "accepted", 3, 4)
        ear.next(links.Taken)
        assert ear.next(links.Delivered).deliver.seqs == [5, 6]


def test_what_is_put_off_comes_again_and_nothing_of_its_stream_before_it() -> None:
    shelf = Shelf()
    shelf.waits = [mail("n1"), mail("n2"), mail("n3", to="carol@dev")]
    with opened(shelf) as ear:
        shelf.credit(1, 1 << 20)
        ear.next(links.Delivered)
        settle(shelf, "deferred", 1, delay_ms=300)
        ear.next(links.Taken)
        shelf.credit(*LOTS)
        (other,) = ear.next(links.Delivered).deliver.headers
        assert other.id == "n3"
        again = ear.next(links.Delivered).deliver.headers
        assert [header.id for header in again] == ["n1", "n2"]


def test_what_is_given_back_comes_again() -> None:
    shelf = Shelf()
    shelf.waits = [mail()]
    with opened(shelf) as ear:
        shelf.credit(*LOTS)
        ear.next(links.Delivered)
        settle(shelf, "released", 1)
        ear.next(links.Taken)
        assert ear.next(links.Delivered).deliver.headers[0].id == "n1"


def test_what_was_under_way_when_it_was_lost_comes_again() -> None:
    shelf = Shelf()
    shelf.waits = [mail()]
    with opened(shelf) as ear:
        shelf.credit(*LOTS)
        ear.next(links.Delivered)
        shelf.lost = True
        assert ear.next(links.Down).reason == "it hung up"
        shelf.lost = False
        until(lambda: isinstance(ear.events.get(timeout=WAIT_S), links.Up), "it is up")
        shelf.credit(*LOTS)
        assert ear.next(links.Delivered).deliver.headers[0].id == "n1"


WRONG: list[dict[str, Any]] = [
    {"id": "no spaces"},
    {"id": ""},
    {"sender": "../etc"},
    {"to": "bob"},
    {"to": "*"},
    {"to": "bob@dev@lab"},
    {"to": "#"},
    {"body": b"x" * (1024 * 1024 + 1)},
    {"kind": "bounce"},
    {"priority": 10},
    {"ttl_ms": 0},
    {"thread": "a b"},
    {"reply_to": "x@y@z"},
    {"labels": ["x" * 65]},
    {"headers": {"a": 1}},
    {"data": NotImplemented},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_is_no_message_is_refused_and_stops_nothing(wrong: dict[str, Any]) -> None:
    shelf = Shelf()
    bad = mail("bad")._replace(**wrong)
    shelf.waits = [bad, mail("good")]
    with opened(shelf) as ear:
        shelf.credit(*LOTS)
        (header,) = ear.next(links.Delivered).deliver.headers
    assert header.id == "good"
    assert [said.startswith(f"{bad.id}: 5.6.0") for said in shelf.over] == [True]


TEXTS = st.text(max_size=70) | st.sampled_from(["bob@dev", "#ci.x", "n1", "m1@dev"])
MAILS = st.builds(
    Mail,
    id=TEXTS,
    sender=TEXTS,
    to=TEXTS,
    body=st.binary(max_size=8),
    kind=st.sampled_from(["inform", "reply", "bounce", "x"]),
    priority=st.integers(-1, 10),
    ttl_ms=st.none() | st.integers(-1, 1 << 40),
    thread=st.none() | TEXTS,
    reply_to=st.none() | TEXTS,
    content_type=st.none() | st.text(max_size=200),
    labels=st.lists(st.text(max_size=70), max_size=20),
    data=st.recursive(
        st.none() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    headers=st.dictionaries(st.text(max_size=70), st.text(max_size=9), max_size=40),
)


@given(MAILS | st.builds(lambda m: m._replace(id="n1", sender="a", to="b@dev"), MAILS))
def test_whatever_a_foreign_network_says_a_broker_can_read(said: Mail) -> None:
    """Or it is found here; a broker would cut the bridge off."""
    try:
        header = go_out(said, 1, FLAG_GRANTED)
    except InvalidMessage:
        return
    rules = Rules.default("shelf", "dev").link("shelf", "dev")
    decision = Moving().decide(rules, header, said.body)
    stream = (header.sender, header.to, header.priority)
    item = Moving().item(rules, 1, 1, stream, header, said.body, decision, 1)
    assert read_move(list(item.move)) == item.move


def test_the_same_content_has_the_same_digest_and_other_content_another() -> None:
    one = go_out(mail(), 1, FLAG_GRANTED)
    assert go_out(mail(), 2, FLAG_GRANTED).digest == one.digest
    for other in (
        mail(body=b"other"),
        mail(to="carol@dev"),
        mail(kind="request"),
        mail(data={"a": 1}),
        mail(reply_to="m1@dev"),
    ):
        assert go_out(other, 1, FLAG_GRANTED).digest != one.digest


def test_an_answer_that_is_vouched_for_needs_no_rule() -> None:
    assert go_out(mail(answers=True), 1, FLAG_GRANTED).flags == FLAG_GRANTED
    assert go_out(mail(), 1, FLAG_GRANTED).flags == 0


# --- the rest of an end --------------------------------------------------------------


def test_it_answers_what_a_link_asks() -> None:
    shelf = Shelf()
    answers: list[Any] = []
    shelf.meet("0011223344556677", lambda value, error: answers.append(value))
    shelf.report({"state": "running"}, lambda value, error: answers.append(value))
    shelf.present(0, lambda value, error: answers.append(value))
    shelf.publish([], lambda value, error: answers.append(value))
    shelf.lead({}, lambda value, error: answers.append(value))
    (keep_ms,), report, present, publish, (leading, epoch, paused) = answers
    assert keep_ms > 7 * 24 * 3600 * 1000
    assert (report, present, publish) == (
        [True, False, 0],
        [[["reader", 1]], 0],
        [0],
    )
    assert leading
    assert not paused
    shelf.lead({}, lambda value, error: answers.append(value))
    assert answers[-1][1] >= epoch > 0
    with pytest.raises(NotPermitted, match="attachments"):
        shelf.ask("blob_begin", "00", 1)


def test_it_is_named_by_what_was_given_and_is_the_same_network_each_time() -> None:
    one, again = Shelf("dev"), Shelf("prod")
    assert (one.network, one.where, one.peer) == ("shelf", "somewhere", "dev")
    assert one.network_id == again.network_id
    assert len(one.network_id) == 16


def test_one_that_only_writes_takes_nothing_and_gives_nothing() -> None:
    bare = Foreign("void:", "dev")
    assert not list(bare.poll())
    assert not list(bare.agents())
    with pytest.raises(NotTaken, match="nothing can be sent to void"):
        bare.put(mail())


def test_a_scheme_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "shelf"

        def load(self) -> type[Shelf]:
            return Shelf

    monkeypatch.setattr(foreign, "entry_points", lambda group: [Point()])
    assert find_end("dev") is None
    found: Any = find_end("shelf:somewhere")
    assert found is Shelf
    with pytest.raises(UsageError, match=r"brings bridges to x; installed: shelf"):
        find_end("x:y")
