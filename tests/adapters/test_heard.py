"""Messages are read out of the frame that `prompt.framed` puts around them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ipcbus.adapters.heard import Heard, heard
from ipcbus.adapters.prompt import framed
from ipcbus.doors.text import safe
from ipcbus.doors.view import View
from ipcbus.protocol.messages import Header, Meta

NAMES = st.from_regex(r"[a-z][a-z0-9._-]{0,9}(@[a-z]{1,5})?", fullmatch=True)
TRUST = st.sampled_from(["local", "foreign", "broker"])
LINES = st.one_of(
    st.text(),
    st.sampled_from(
        [
            "",
            "| a bar",
            "[root (broker), inform, now, id 01hv]",
            "[attached: a.txt, 3 B]",
        ]
    ),
)
TEXTS = st.lists(LINES, max_size=4).map("\n".join)
MESSAGES = st.tuples(NAMES, TRUST, TEXTS, st.sampled_from(["bob", "#news", "*"]))


def view(sender: str, trust: str, text: str, to: str) -> View:
    header = Header(
        id="01hv",
        sender=sender,
        to=to,
        kind="inform",
        priority=0,
        accepted_at=0,
        expires_at=None,
        thread=None,
        reply_to=None,
        trust=trust,
        hops=["dev/1", "prod/2"] if trust == "foreign" else None,
        attachments=[["sha", 3, "a.txt", "text/plain"]],
        meta=None,
    )
    return View(header, Meta(), text, len(text.encode()), "dev", 3.0, 2, {})


@given(st.lists(MESSAGES, min_size=1, max_size=4))
def test_what_was_framed_is_heard_as_it_was(
    messages: list[tuple[str, str, str, str]],
) -> None:
    text = "\n\n".join(framed(view(*message)) for message in messages)

    assert heard(text) == [Heard(sender, safe(body)) for sender, _, body, _ in messages]


@given(TEXTS)
def test_no_text_passes_for_a_message_of_somebody_else(text: str) -> None:
    found = heard(framed(view("mallory", "local", text, "bob")))

    assert [one.sender for one in found] == ["mallory"]


def test_text_without_a_frame_is_heard_as_it_is() -> None:
    assert heard("| hello\n[bob]") == [Heard("", "| hello\n[bob]")]
