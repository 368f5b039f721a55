"""What is shown of a change before it is made."""

from __future__ import annotations

import pytest

from ipcbus.doors.install.difference import MAX_LINE, unified


def test_it_is_a_unified_diff() -> None:
    assert list(unified("f", "a\nb\n", "a\nc\n")) == [
        *("--- f", "+++ f", "@@ -1,2 +1,2 @@"),
        *(" a", "-b", "+c"),
    ]
    assert not list(unified("f", "a\n", "a\n"))


@pytest.mark.parametrize(
    "line",
    [
        '"primaryApiKey": "sk-1234"',
        '"GITHUB_TOKEN" : "sk-1234",',
        "bearer_token = 'sk-1234'",
        '{"a": 1, "password":"x\\"sk-1234"}',
        'http_headers = { Authorization = "Bearer sk-1234" }',
    ],
)
def test_secrets_of_others_are_not_shown(line: str) -> None:
    shown = "\n".join(unified("f", f"{line}\n", f"{line}\nnew\n"))
    assert "sk-1234" not in shown
    assert '"(not shown)"' in shown


def test_a_line_that_is_a_whole_file_is_cut() -> None:
    *_, last = unified("f", "", "x" * 1000)
    assert last.startswith("+xxx")
    assert len(last) < MAX_LINE + 40
    assert last.endswith(f"... {1001 - MAX_LINE} more characters")
