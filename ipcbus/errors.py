"""Every error of ipcbus, on one screen.

    IpcbusError                      failed              1
    ├─ UsageError                    usage               2   the caller's mistake
    │  ├─ InvalidAddress             invalid_address
    │  ├─ InvalidMessage             invalid_message
    │  └─ ConfigError                config
    ├─ NothingThere                  nothing             3   nothing to give
    │  ├─ TimedOut                   timed_out
    │  └─ NoSuchMessage              no_such_message
    ├─ NoBroker                      no_broker           4   nobody serves
    │  ├─ NoNetwork                  no_network
    │  └─ Disconnected               disconnected
    ├─ Refused                       refused             5   the broker said no
    │  ├─ NotPermitted               not_permitted
    │  ├─ NameTaken                  name_taken
    │  ├─ IdClash                    id_clash
    │  ├─ BoundExceeded              bound_exceeded          says which bound
    │  ├─ StoreFull                  store_full
    │  ├─ StaleLease                 stale_lease
    │  ├─ LinkFenced                 link_fenced             another bridge leads
    │  ├─ IdentityChanged            identity_changed        a network of that name
    │  ├─ LoopStopped                loop_stopped            agents that answer for ever
    │  ├─ Repeated                   repeated                the same words once more
    │  └─ Bounced                    bounced                 a request came back
    ├─ UnknownRecipient              unknown_recipient   6
    ├─ ProtocolError                 protocol            7
    │  ├─ LocalProtocolError         local_protocol          we said it wrong
    │  ├─ RemoteProtocolError        remote_protocol         they said it wrong
    │  └─ VersionMismatch            version
    ├─ AdapterFailed                 adapter_failed      8   a model did not answer
    │  ├─ AdapterMissing             adapter_missing         none, or no SDK for it
    │  ├─ KeyRefused                 key_refused             no key, or a wrong one
    │  ├─ Overloaded                 overloaded              later, it may
    │  └─ TooLong                    too_long                more than the model takes
    └─ CannotServe                   cannot_serve       10   a broker could not start
       ├─ PortInUse                  port_in_use        11
       ├─ AlreadyServing             already_serving    12
       ├─ UnsafeFolder               unsafe_folder      13   another user's, or open
       ├─ NetworkFileSystem          network_filesystem 14
       ├─ NewerDatabase              newer_database     15
       ├─ DamagedDatabase            damaged_database   16
       ├─ StaleFile                  stale_file         17
       ├─ Fenced                     fenced             18   another broker took over
       ├─ StoreFailed                store_failed       19   the disk failed
       └─ OutOfMemory                out_of_memory      20

A class has a stable `code`, an `exit_code`, and one `sentence` that is filled
from the facts given as keywords; the facts are attributes too. An error crosses
the wire as `(code, facts)` and comes out as the same class (`from_wire`).
Exceptions of other libraries are translated at the border and chained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class IpcbusError(Exception):
    """Base of all errors; raised itself only for codes this version lacks."""

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1
    sentence: ClassVar[str] = "{reason}"

    def __init__(self, /, **facts: Any) -> None:
        super().__init__(facts)
        self.facts: dict[str, Any] = facts

    def __getattr__(self, name: str) -> Any:
        # Only reached when normal look-up failed. `facts` itself is missing while
        # pickle rebuilds an instance, so it must not be looked up recursively.
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(name)

    def __str__(self) -> str:
        try:
            said = self.sentence.format_map(_Facts(self.facts))
        except (ValueError, TypeError):  # a fact of another type than the sentence has
            said = f"{self.code}: {self.facts}"
        return said or self.code  # a peer may give an empty reason

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.facts)

    def to_wire(self) -> tuple[str, dict[str, Any]]:
        """`(code, facts)` as the protocol carries them."""
        return self.code, self.facts


class UsageError(IpcbusError):
    code = "usage"
    exit_code = 2


class InvalidAddress(UsageError):
    code = "invalid_address"
    sentence = "{address!r} is not an address: {reason}"


class InvalidMessage(UsageError):
    code = "invalid_message"
    sentence = "the message is not valid: {field}: {reason}"


class ConfigError(UsageError):
    code = "config"
    sentence = "{file}: {path}: {reason}"


class NothingThere(IpcbusError):
    code = "nothing"
    exit_code = 3


class TimedOut(NothingThere):
    code = "timed_out"
    sentence = "{what}: nothing came within {seconds:g} s"


class NoSuchMessage(NothingThere):
    code = "no_such_message"
    sentence = "no message {id} {where}"


class NoBroker(IpcbusError):
    code = "no_broker"
    exit_code = 4
    sentence = "no broker serves {network}: {reason}"


class NoNetwork(NoBroker):
    code = "no_network"
    sentence = "{reason}; start one with: ipcbus up --network {network}"


class Disconnected(NoBroker):
    code = "disconnected"
    sentence = "the broker of {network} closed this session: {reason}"


class Refused(IpcbusError):
    code = "refused"
    exit_code = 5


class NotPermitted(Refused):
    code = "not_permitted"
    sentence = "not permitted: {reason}"


class NameTaken(Refused):
    code = "name_taken"
    sentence = "the name {name} is taken: {reason}"


class IdClash(Refused):
    code = "id_clash"
    sentence = "message id {id} was used before with other content"


class BoundExceeded(Refused):
    code = "bound_exceeded"
    sentence = "{bound}: {value} is over the limit of {limit}"


class StoreFull(Refused):
    code = "store_full"
    sentence = "the store of {network} is full; acks still work, sends do not"


class StaleLease(Refused):
    code = "stale_lease"
    sentence = "message {id} is not leased to you any more; it will come again"


class LinkFenced(Refused):
    code = "link_fenced"
    sentence = "the link to {peer} is led by another bridge (or connection of it)"


class IdentityChanged(Refused):
    code = "identity_changed"
    sentence = (
        "{peer} is not the network that it was (id {theirs}, known as {ours}); "
        "if that is right: ipcbus bridges trust"
    )


class LoopStopped(Refused):
    code = "loop_stopped"
    sentence = (
        "stopped by the loop guard: {reason}. Do not send it again; "
        "if it matters, tell the person you work for"
    )


class Repeated(Refused):
    code = "repeated"
    sentence = (
        "stopped by the loop guard: {to} was sent these very words {times} times "
        "already in this exchange; say something new, or nothing"
    )


class Bounced(Refused):
    code = "bounced"
    sentence = "message {id} to {to} came back: {status} {reason}"


class UnknownRecipient(IpcbusError):
    code = "unknown_recipient"
    exit_code = 6
    sentence = "nobody is called {name} in {network}{hint}"


class ProtocolError(IpcbusError):
    code = "protocol"
    exit_code = 7


class LocalProtocolError(ProtocolError):
    code = "local_protocol"


class RemoteProtocolError(ProtocolError):
    code = "remote_protocol"


class VersionMismatch(ProtocolError):
    code = "version"
    sentence = "protocol {theirs} is not spoken here; this side speaks {ours}"


class AdapterFailed(IpcbusError):
    code = "adapter_failed"
    exit_code = 8
    sentence = "{adapter}: {reason}"


class AdapterMissing(AdapterFailed):
    code = "adapter_missing"


class KeyRefused(AdapterFailed):
    code = "key_refused"


class Overloaded(AdapterFailed):
    code = "overloaded"
    sentence = "{adapter}: {reason}; to be tried again in {retry_after_s:g} s"


class TooLong(AdapterFailed):
    code = "too_long"


class CannotServe(IpcbusError):
    code = "cannot_serve"
    exit_code = 10
    sentence = "{network} cannot start: {reason}"


class PortInUse(CannotServe):
    code = "port_in_use"
    exit_code = 11
    sentence = (
        "{endpoint} is in use by another program; "
        "choose another port, or 0 for a free one"
    )


class AlreadyServing(CannotServe):
    code = "already_serving"
    exit_code = 12
    sentence = "a broker already serves {network} (pid {pid}, {endpoint})"


class UnsafeFolder(CannotServe):
    code = "unsafe_folder"
    exit_code = 13
    sentence = "{path}: {reason}; {mend}"


class NetworkFileSystem(CannotServe):
    code = "network_filesystem"
    exit_code = 14
    sentence = (
        "{path} is on {kind}, where locks and fsync cannot be trusted; "
        "set IPCBUS_HOME to a local folder"
    )


class NewerDatabase(CannotServe):
    code = "newer_database"
    exit_code = 15
    sentence = (
        "{path} was written by a newer ipcbus (schema {found}, this one knows "
        "{known}); upgrade ipcbus. Nothing was touched"
    )


class DamagedDatabase(CannotServe):
    code = "damaged_database"
    exit_code = 16
    sentence = (
        "{path} is damaged ({reason}). Nothing was touched; "
        "restore a backup with: ipcbus restore FILE"
    )


class StaleFile(CannotServe):
    code = "stale_file"
    exit_code = 17
    sentence = "{path}: {reason}; {mend}"


class Fenced(CannotServe):
    code = "fenced"
    exit_code = 18
    sentence = "another broker took {network} over (epoch {theirs}, ours was {ours})"


class StoreFailed(CannotServe):
    code = "store_failed"
    exit_code = 19
    sentence = "the store failed and the broker stopped unanswered: {reason}"


class OutOfMemory(CannotServe):
    code = "out_of_memory"
    exit_code = 20
    sentence = (
        "there was no memory left and the broker of {network} stopped unanswered; "
        "raise its limit (ulimit -v, or that of its container)"
    )


class _Facts(dict[str, Any]):
    """Facts for a sentence: one that is missing is shown by name, never raises."""

    def __missing__(self, key: str) -> str:
        return _Missing(f"<{key}>")


class _Missing(str):
    """Stands for a number as well, whatever form that was to have."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return str(self)


def _rebuild(kind: type[IpcbusError], facts: dict[str, Any]) -> IpcbusError:
    return kind(**facts)


def _tree(kind: type[IpcbusError]) -> dict[str, type[IpcbusError]]:
    found = {kind.code: kind}
    for child in kind.__subclasses__():
        found.update(_tree(child))
    return found


BY_CODE: Mapping[str, type[IpcbusError]] = _tree(IpcbusError)
"""Each stable code and its class."""


def from_wire(code: str, facts: Mapping[str, Any]) -> IpcbusError:
    """The error that the other side reported.

    A code that this version does not know (the peer is newer) becomes the base
    class with the facts kept, so that nothing is hidden.
    """
    kind = BY_CODE.get(code)
    if kind is None:
        return IpcbusError(reason=f"{code}: {dict(facts)}")
    return kind(**facts)
