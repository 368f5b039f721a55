"""Bounds that depend on each other."""

from __future__ import annotations

from ipcbus.protocol import limits


def test_any_body_and_any_head_fit_into_a_frame() -> None:
    assert limits.MAX_BODY < limits.MAX_FRAME
    assert limits.MAX_HEAD < limits.MAX_FRAME
    assert limits.CHUNK <= limits.MAX_BODY


def test_the_greatest_meta_leaves_room_for_the_rest_of_a_head() -> None:
    attachments = limits.MAX_ATTACHMENTS * (64 + 4 * (255 + 128) + 32)
    assert limits.MAX_META + attachments + 4 * limits.MAX_ID < limits.MAX_HEAD


def test_a_window_holds_several_batches_and_any_single_message() -> None:
    assert limits.SEND_WINDOW >= 2 * limits.MAX_BATCH
    assert limits.SEND_WINDOW_BYTES >= 2 * limits.MAX_FRAME
    assert limits.UNREAD_BYTES >= 2 * limits.SEND_WINDOW_BYTES
    assert limits.MAX_CREDIT_BYTES >= limits.MAX_BODY


def test_the_shortest_lease_outlives_no_session_by_accident() -> None:
    assert limits.MIN_LEASE_MS <= limits.MAX_LEASE_MS
    assert limits.PING_S * limits.PINGS_MISSED > limits.HANDSHAKE_MS / 1000
