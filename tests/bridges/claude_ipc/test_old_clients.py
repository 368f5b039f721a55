"""Old programs, one by one and many at once, next to agents of the new side."""

from __future__ import annotations

import json
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import ipcbus
from ipcbus_bridges.claude_ipc.connection import UNSURE_S
from ipcbus_bridges.claude_ipc.desk import ANSWER_S
from ipcbus_bridges.claude_ipc.limits import AT_ONCE
from tests.bridges.claude_ipc.conftest import NewDoor
from tests.bridges.claude_ipc.old import (
    OLD_BUFFER,
    OLD_TIMEOUT_S,
    Door,
    Old,
    answer_of,
    connected,
)
from tests.bridges.town import bridge, frozen
from tests.faults.crew import kill_broker
from tests.waiting import until

NO_SESSION = {"status": "error", "message": "Invalid or missing session token"}
MANY = 50


def test_register_send_check(door: Door) -> None:
    fred, wilma = door.registered("fred"), door.registered("wilma")

    assert wilma.check() == []
    sent = fred.send("wilma", "hello 📬", data={"a": [1, None]})
    assert sent == {"status": "ok", "message": "Message sent"}
    (message,) = wilma.check()
    assert message["from"] == "fred"
    assert message["to"] == "wilma"
    assert message["message"] == {"content": "hello 📬", "data": {"a": [1, None]}}
    age = datetime.now() - datetime.fromisoformat(message["timestamp"])
    assert 0 <= age.total_seconds() < 60
    assert wilma.check() == []


def test_mail_for_a_name_that_nobody_has_waits_for_it(door: Door) -> None:
    fred = door.registered("fred-2")
    queued = "Message queued for pebbles (not yet registered)"

    assert fred.send("pebbles", "one") == {"status": "ok", "message": queued}
    assert fred.send("pebbles", "two") == {"status": "ok", "message": queued}
    pebbles = door.old("Pebbles")
    assert pebbles.register()["message"] == "Registered Pebbles with 2 queued messages"
    assert pebbles.contents() == ["one", "two"]
    assert pebbles.register()["message"] == "Registered Pebbles"


def test_a_rename_forwards_and_is_told_to_all(door: Door) -> None:
    fred, wilma = door.registered("old-fred"), door.registered("old-wilma")

    done = {"status": "ok", "message": "Renamed old-fred to Freddy"}
    assert fred.rename("Freddy") == done
    (notice,) = wilma.check()
    assert notice["from"] == "system"
    assert notice["message"]["content"] == "📝 old-fred renamed to Freddy"
    told = wilma.send("old-fred", "still there?")
    assert told["message"] == "Message forwarded from old-fred to Freddy"
    assert [one["to"] for one in fred.check()] == ["Freddy"]
    fred.send("old-wilma", "yes")
    assert [one["from"] for one in wilma.check()] == ["Freddy"]

    again = fred.rename("x")
    assert again["message"] == "Rate limit: can rename again in 60 minutes"
    taken = wilma.rename("FREDDY")
    assert taken == {"status": "error", "message": "Instance FREDDY already exists"}
    assert wilma.rename("Old-Wilma")["message"] == "Renamed old-wilma to Old-Wilma"
    assert wilma.check() == []


def test_a_broadcast_goes_to_all_others_and_to_nobody_else(own_door: NewDoor) -> None:
    door = own_door()
    fred = door.registered("fred")
    assert fred.broadcast("anybody?")["message"] == "Broadcast to 0 instances"
    fred.send("nobody-yet", "later")
    others = [door.registered("a"), door.registered("b")]
    with door.client("new") as new:
        told = fred.broadcast("hello all")
        assert told["message"] == "Broadcast to 3 instances"
        assert [other.contents() for other in others] == [["hello all"]] * 2
        (message,) = new.receive(timeout=10)
        message.ack()
        assert (message.sender, message.body) == ("fred", "hello all")


def test_old_and_new_agents_see_each_other(door: Door) -> None:
    fred = door.registered("Fred-3")
    with door.client("barney") as barney:
        ids = {one["id"]: one["last_seen"] for one in fred("list")["instances"]}
        assert {"Fred-3", "barney"} <= set(ids)
        seen = datetime.fromisoformat(ids["Fred-3"])
        assert abs((datetime.now() - seen).total_seconds()) < 60
        assert "Fred-3" in {agent.name for agent in barney.agents()}

        fred.send("BARNEY", "from the old side", data={"n": 1})
        (message,) = barney.receive(timeout=10)
        assert (message.sender, message.body) == ("Fred-3", "from the old side")
        assert message.data == {"n": 1}
        message.reply("from the new side", data={"n": 2})
        message.ack().result(10)
        (answer,) = fred.check()
        assert answer["from"] == "barney"
        assert answer["message"] == {"content": "from the new side", "data": {"n": 2}}


def test_a_rewritten_program_goes_on_under_its_name(door: Door) -> None:
    fred, dino = door.registered("fred-4"), door.registered("dino")
    fred.send("dino", "one")
    with door.client("dino") as rewritten:
        (message,) = rewritten.receive(timeout=10)
        message.ack().result(10)
        rewritten.send("fred-4", "two")
    assert fred.contents() == ["two"]
    assert dino.check() == []


def test_names_that_begin_with_a_dash_work_and_are_told(door: Door) -> None:
    odd = door.registered("_odd")
    door.registered("fred-5").send("_odd", "hello")
    assert [one["to"] for one in odd.check()] == ["_odd"]
    assert "_odd" in [one["id"] for one in odd("list")["instances"]]
    with door.client("gazoo") as gazoo:
        gazoo.send("x._odd", "hello again")
        assert "x._odd" in [agent.name for agent in gazoo.agents()]
    assert odd.contents() == ["hello again"]


def test_to_another_network_without_a_bridge_is_told(door: Door) -> None:
    told = door.registered("fred-6").send("bob@prod", "hello")

    assert told["status"] == "error"
    assert "no bridge leads to prod" in told["message"]


def test_what_does_not_fit_into_data_comes_back_whole(door: Door) -> None:
    fred, wilma = door.registered("fred-7"), door.registered("wilma-7")
    deep: object = "bottom"
    for _ in range(40):
        deep = [deep]
    for data in ({"deep": deep}, {"large": ["x"] * 5_000}, {"number": 2**70}, "text"):
        assert fred.send("wilma-7", "look", data=data)["message"] == "Message sent"
        (message,) = wilma.check()
        assert message["message"] == {"content": "look", "data": data}
    fred.send("wilma-7", "look", type="file", data={"a": 1})
    (message,) = wilma.check()
    assert message["message"] == {"content": "look", "type": "file", "data": {"a": 1}}


def test_a_mebibyte_goes_through_and_is_shown_as_a_summary(door: Door) -> None:
    fred, wilma = door.registered("fred-8"), door.registered("wilma-8")
    text = "It is long. It is very long. " + "x" * (1024 * 1024 - 29)

    assert fred.send("wilma-8", text)["message"] == "Message sent"
    (message,) = wilma.check()
    path = Path(message["message"]["data"]["large_message_file"])
    begin = "It is long. It is very long. Full content saved to: "
    assert message["message"]["content"] == f"{begin}{path}"
    assert text in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600

    with door.client("new-8") as new:
        fred.send("new-8", text)
        (whole,) = new.receive(timeout=10)
        assert whole.body == text
        whole.ack().result(10)


def test_more_than_a_body_may_have_is_told(door: Door) -> None:
    told = door.registered("fred-9").send("fred-9", "x" * (1024 * 1024 + 1))
    assert told == {
        "status": "error",
        "message": "body: 1048577 is over the limit of 1048576",
    }


def test_a_large_inbox_comes_in_answers_of_one_recv_each(door: Door) -> None:
    fred, wilma = door.registered("fred-10"), door.registered("wilma-10")
    sent = [f"{number} " + "y" * 3000 for number in range(100)]
    for text in sent:
        fred.send("wilma-10", text)
    got: list[str] = []
    answers = 0
    while len(got) < len(sent):
        with connected(door.port) as sock:
            sock.sendall(json.dumps(wilma.request("check")).encode())
            raw = sock.recv(OLD_BUFFER)
        found = json.loads(raw)  # whole, by a single recv
        assert len(raw) <= AT_ONCE
        got += [one["message"]["content"] for one in found["messages"]]
        assert found["remaining"] == len(sent) - len(got)
        answers += 1
    assert got == sent
    assert answers == 10  # as full as they may be


def test_many_large_messages_come_with_one_check(door: Door) -> None:
    fred, wilma = door.registered("fred-11"), door.registered("wilma-11")
    for number in range(5):
        fred.send("wilma-11", f"Number {number} is large. " + "z" * 100_000)
    found = [one["message"]["content"][:8] for one in wilma.check()]
    assert found == [f"Number {number}" for number in range(5)]


def test_fifty_at_a_time(door: Door) -> None:
    names = [f"crowd-{number}" for number in range(MANY)]
    with ThreadPoolExecutor(MANY) as pool:
        crowd = list(pool.map(door.registered, names))
        pairs = list(zip(crowd, [*crowd[1:], crowd[0]], strict=True))
        sent = pool.map(lambda pair: pair[0].send(pair[1].name, "next"), pairs)
        assert [one["message"] for one in sent] == ["Message sent"] * MANY
        found = list(pool.map(Old.check, crowd))
    assert [[one["from"] for one in box] for box in found] == [
        [names[number - 1]] for number in range(MANY)
    ]


def test_fifty_programs_that_share_one_session_get_each_message_once(
    door: Door,
) -> None:
    fred = door.registered("fred-12")
    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(lambda n: fred.send("fred-12", f"{n}"), range(MANY)))
        boxes = list(pool.map(lambda _: fred.contents(), range(MANY)))
    found = [text for box in boxes for text in box]
    assert sorted(found, key=int) == [f"{number}" for number in range(MANY)]


# --- when a message is read ----------------------------------------------------------


def test_a_program_killed_before_it_read_gets_it_again(door: Door) -> None:
    fred, wilma = door.registered("fred-13"), door.registered("wilma-13")
    fred.send("wilma-13", "important")
    for _ in range(10):  # more often than the network delivers a message in vain
        sock = connected(door.port)
        sock.sendall(json.dumps(wilma.request("check")).encode())
        sock.recv(1, socket.MSG_PEEK)  # it is there, and is not read
        sock.close()  # with unread bytes: as when it is killed
    assert wilma.contents() == ["important"]
    assert wilma.check() == []


def test_a_program_that_is_gone_before_the_answer_gets_it_again(door: Door) -> None:
    fred, wilma = door.registered("fred-14"), door.registered("wilma-14")
    fred.send("wilma-14", "important")
    for reset in (True, False) * 5:
        with connected(door.port) as sock:
            if reset:
                now = struct.pack("ii", 1, 0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            sock.sendall(json.dumps(wilma.request("check")).encode())
    assert wilma.contents() == ["important"]


def test_one_that_closed_its_half_and_died_gets_it_again(door: Door) -> None:
    fred, wilma = door.registered("fred-18"), door.registered("wilma-18")

    def dies() -> bool:
        """Whether it died so soon that it cannot have been taken for a reader."""
        while wilma.check():
            pass
        fred.send("wilma-18", "important")
        begun = time.monotonic()
        with connected(door.port) as sock:
            sock.sendall(json.dumps(wilma.request("check")).encode())
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1, socket.MSG_PEEK)  # it is there, and is not read
        return time.monotonic() - begun < UNSURE_S

    until(dies, "a machine that is not too busy")
    assert wilma.contents() == ["important"]


def test_a_program_that_closed_its_half_first_is_served(door: Door) -> None:
    fred, wilma = door.registered("fred-15"), door.registered("wilma-15")
    fred.send("wilma-15", "important")
    with connected(door.port) as sock:
        sock.sendall(json.dumps(wilma.request("check")).encode())
        sock.shutdown(socket.SHUT_WR)
        (message,) = answer_of(sock)["messages"]
    assert message["message"]["content"] == "important"
    assert wilma.check() == []


def test_one_that_keeps_its_connection_has_read_what_it_asks_beyond(door: Door) -> None:
    fred, wilma = door.registered("fred-16"), door.registered("wilma-16")
    fred.send("wilma-16", "one")
    with connected(door.port) as sock:
        sock.sendall(json.dumps(wilma.request("check")).encode())
        assert len(answer_of(sock)["messages"]) == 1
        fred.send("wilma-16", "two")
        assert wilma.contents() == ["two"]
    assert wilma.check() == []


# --- what is killed and frozen -------------------------------------------------------


def test_sessions_survive_the_door_and_the_broker(own_door: NewDoor) -> None:
    door = own_door()
    fred = door.registered("fred")
    fred.send("fred", "before")
    door.kill()
    kill_broker(door.network)
    door.begin()
    assert fred.contents() == ["before"]
    kill_broker(door.network)
    assert fred.send("fred", "after")["message"] == "Message sent"
    assert fred.contents() == ["after"]
    door.end()


def test_a_frozen_broker_is_told_before_an_old_program_gives_up(door: Door) -> None:
    fred = door.registered("fred-17")
    info = door.network.broker_info()
    assert info is not None
    with frozen(info.pid):
        told = fred.send("fred", "hello")
    assert told["status"] == "error"
    assert "does not answer; please try again" in told["message"]
    assert ANSWER_S < OLD_TIMEOUT_S - 1


def test_a_bridge_leads_on(own_door: NewDoor) -> None:
    door = own_door()
    door.home.start(door.home.network("prod"))
    fred = door.registered("fred")
    with (
        door.home.inside(),
        ipcbus.connect("prod", agent="bob") as bob,
        bridge(door.home, door.home.folder) as running,
    ):
        running.runs()
        assert fred.send("bob@prod", "over there")["message"] == "Message sent"
        (message,) = bob.receive(timeout=20)
        assert (message.sender, message.body) == ("fred@dev", "over there")
        message.reply("over here")
        message.ack().result(10)
        found: list[str] = []

        def has_come() -> bool:
            found.extend(one["from"] for one in fred.check())
            return bool(found)

        until(has_come, "an answer")
    assert found == ["bob@prod"]
