"""Networks that are none of ipcbus: what the base does for those who write one."""

from __future__ import annotations

from ipcbus import links
from ipcbus_bridges.foreign import Mail, NotTaken
from ipcbus_bridges.mail import come_in
from tests.bridges.shelf import WAIT_S, Ear, Shelf, move, opened
from tests.waiting import until

# --- what comes in ---------------------------------------------------------------


def test_what_is_handed_over_is_put_in_the_words_of_the_foreign_network() -> None:
    shelf = Shelf()
    with opened(shelf) as ear:
        said = move(thread="t1", reply_to="n1@shelf", ttl_ms=50, kind="reply")
        shelf.hand_over(3, 1, [said], [b"hello"])
        assert ear.next(links.Verdicts) == links.Verdicts(3, [])
    (found,) = shelf.taken
    assert found.id == "m1@dev"
    assert found.sender == "alice@dev"
    assert (found.to, found.text, found.kind) == ("reader", "hello", "reply")
    assert (found.thread, found.reply_to, found.ttl_ms) == ("t1@dev", "n1", 50)


def test_what_a_sender_adds_comes_along() -> None:
    meta = links.pack_meta(
        links.unpack_meta(None)._replace(
            content_type="text/plain", labels=["ci"], data={"ok": True}, headers={}
        )
    )
    found = come_in(move(meta=meta, to="#ci.linux"), b"", "dev", "shelf")
    assert (found.to, found.labels, found.data) == ("#ci.linux", ("ci",), {"ok": True})
    assert (found.content_type, found.headers) == ("text/plain", {})


def test_names_of_a_third_network_stay_as_they_are() -> None:
    found = come_in(move("m1@lab", sender="rita@lab"), b"", "dev", "shelf")
    assert (found.id, found.sender) == ("m1@lab", "rita@lab")


def test_each_message_has_its_own_verdict() -> None:
    shelf = Shelf()

    def fault(mail: Mail) -> None:
        if mail.id == "m2@dev":
            raise NotTaken("5.1.1", "nobody is called so")

    shelf.fault = fault
    with opened(shelf) as ear:
        moves = [move("m1"), move("m2"), move("m3")]
        shelf.hand_over(1, 1, moves, [b""] * 3)
        said = {"status": "5.1.1", "reason": "nobody is called so"}
        assert ear.next(links.Verdicts).exceptions == [[1, "refused", said]]
    assert [mail.id for mail in shelf.taken] == ["m1@dev", "m3@dev"]


def test_nothing_overtakes_what_is_put_off() -> None:
    shelf = Shelf()

    def fault(mail: Mail) -> None:
        if mail.id == "m1@dev":
            raise NotTaken("4.2.2", "full")

    shelf.fault = fault
    with opened(shelf) as ear:
        moves = [move("m1"), move("m2"), move("m3", priority=9)]
        shelf.hand_over(1, 1, moves, [b""] * 3)
        verdicts = ear.next(links.Verdicts).exceptions
    assert [(at, outcome) for at, outcome, _ in verdicts] == [
        (0, "deferred"),
        (1, "deferred"),
    ]
    assert [mail.id for mail in shelf.taken] == ["m3@dev"]


def test_a_message_that_it_stumbles_over_is_refused_and_the_others_pass() -> None:
    shelf = Shelf()

    def fault(mail: Mail) -> None:
        if mail.id == "m1@dev":
            raise KeyError("no such drawer")

    shelf.fault = fault
    with opened(shelf) as ear:
        shelf.hand_over(1, 1, [move("m1"), move("m2")], [b"", b""])
        ((at, outcome, facts),) = ear.next(links.Verdicts).exceptions
    assert (at, outcome, facts["status"]) == (0, "refused", "5.6.0")
    assert "no such drawer" in facts["reason"]
    assert [mail.id for mail in shelf.taken] == ["m2@dev"]


def test_what_was_there_before_is_a_loop() -> None:
    shelf = Shelf()
    with opened(shelf) as ear:
        hops = [f"shelf/{shelf.network_id}", "lab/0011223344556677"]
        shelf.hand_over(1, 1, [move(hops=hops)], [b""])
        ((_, outcome, facts),) = ear.next(links.Verdicts).exceptions
    assert (outcome, facts["status"]) == ("refused", "5.4.6")


def test_an_end_that_is_lost_begins_anew() -> None:
    shelf = Shelf()

    def fault(mail: Mail) -> None:
        raise ConnectionResetError("it hung up")

    shelf.fault = fault
    with opened(shelf) as ear:
        shelf.hand_over(1, 1, [move()], [b""])
        assert ear.next(links.Down).reason == "it hung up"
        ear.next(links.Up)
        shelf.fault = lambda mail: None
        shelf.hand_over(2, 2, [move()], [b""])
        assert ear.next(links.Verdicts) == links.Verdicts(2, [])
    assert shelf.begun == 2


def test_an_end_that_cannot_begin_says_why_and_goes_on_trying() -> None:
    shelf, ear = Shelf(), Ear()
    shelf.lost = True
    shelf.open(ear.events.put)
    try:
        assert ear.next(links.Down).reason == "nobody is at home"
        ear.next(links.Down)
        shelf.lost = False
        until(lambda: isinstance(ear.events.get(timeout=WAIT_S), links.Up), "it is up")
    finally:
        shelf.close()
