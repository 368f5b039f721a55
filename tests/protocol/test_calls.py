"""The table of calls is what arguments are checked against."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.errors import InvalidMessage
from ipcbus.protocol import limits
from ipcbus.protocol.calls import METHODS, Method, Parameter, Role, check
from tests.protocol.test_soup import junk

EACH = pytest.mark.parametrize(("name", "method"), METHODS.items(), ids=list(METHODS))


def _good(parameter: Parameter) -> Any:
    return "x" if parameter.type is str else 1


def _arguments(method: Method) -> list[Any]:
    return [_good(parameter) for parameter in method.parameters]


@EACH
def test_every_call_takes_its_arguments_and_no_other_number(
    name: str, method: Method
) -> None:
    check(name, _arguments(method))
    with pytest.raises(InvalidMessage, match=f"takes {len(method.parameters)}"):
        check(name, [*_arguments(method), "x"])
    if method.parameters:
        with pytest.raises(InvalidMessage, match="takes"):
            check(name, _arguments(method)[:-1])


@EACH
def test_an_argument_may_be_missing_only_where_the_table_says_so(
    name: str, method: Method
) -> None:
    for at, parameter in enumerate(method.parameters):
        arguments = _arguments(method)
        arguments[at] = None
        if parameter.optional:
            check(name, arguments)
        else:
            with pytest.raises(InvalidMessage, match=parameter.name):
                check(name, arguments)


@EACH
def test_an_argument_of_another_type_or_size_is_refused_by_its_name(
    name: str, method: Method
) -> None:
    for at, parameter in enumerate(method.parameters):
        arguments = _arguments(method)
        wrong: list[Any] = [True, 1.5, b"x", [], {}]
        if parameter.type is str:
            wrong += [1, "x" * (limits.MAX_META + 1)]
        else:
            wrong += ["1", -1, limits.MAX_UINT + 1]
        for arguments[at] in wrong:
            with pytest.raises(InvalidMessage, match=f"{name}.{parameter.name}"):
                check(name, arguments)


@given(st.sampled_from(sorted(METHODS)) | st.text(), st.lists(junk, max_size=5))
def test_anything_passes_or_is_an_invalid_message(name: str, arguments: Any) -> None:
    try:
        check(name, arguments)
    except InvalidMessage:
        return
    assert len(arguments) == len(METHODS[name].parameters)


def test_a_call_that_does_not_exist_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidMessage, match="'sudo' is unknown"):
        check("sudo", [])


def test_an_invitee_may_redeem_and_nothing_else() -> None:
    allowed = [name for name, method in METHODS.items() if Role.INVITEE in method.role]
    assert allowed == ["redeem"]


def test_keys_limits_and_the_broker_itself_are_for_operators_alone() -> None:
    for name in ("register", "invite", "revoke", "keys", "limit", "backup", "shutdown"):
        assert METHODS[name].role == {Role.OPERATOR}
