"""What hooks are asked and answer, and how the server asks them.

Plugins import the request and answer types from here. `Hooks` walks the
implementations itself: pluggy's own call asks the plugin registered last first
and takes any coroutine for an answer, both wrong for a server that decides who
may do what. A plugin that raises, hangs or answers nonsense is logged by name;
it never takes the server down and never lets anybody in.
"""

from __future__ import annotations

import functools
import inspect
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tornado_webrtc.collection import Collection, collection_fault
from tornado_webrtc.errors import PluginError
from tornado_webrtc.isolation import Isolation, discard
from tornado_webrtc.request import (
    AllocationRequest,
    AuthRequest,
    CallRequest,
    CredentialRequest,
    Denied,
    Doubt,
    IceRequest,
    IceServer,
    Identity,
    JoinRequest,
    Message,
    MessageHandler,
    PluginContext,
    Refused,
    RelayRequest,
    ScopeRequest,
    SocketAddress,
    StreamProtocol,
    TurnAllocation,
    TurnCredential,
    TurnTraffic,
    at_key,
)

if TYPE_CHECKING:
    import pluggy

__all__ = [
    "AllocationRequest",
    "AuthRequest",
    "CallRequest",
    "Collection",
    "CredentialRequest",
    "Denied",
    "Doubt",
    "Hooks",
    "IceRequest",
    "IceServer",
    "Identity",
    "JoinRequest",
    "Message",
    "MessageHandler",
    "PluginContext",
    "Refused",
    "RelayRequest",
    "ScopeRequest",
    "SocketAddress",
    "StreamProtocol",
    "TurnAllocation",
    "TurnCredential",
    "TurnTraffic",
    "at_key",
]

CHECK_TIMEOUT_S = 30.0


class Hooks:
    """Asks the plugins of one server.

    Whatever the kind of hook, implementations marked ``tryfirst`` are asked
    first and those marked ``trylast`` last, each in the order in which the
    plugins were registered. An implementation may return an awaitable where
    the method below is asynchronous, and in `notify`; it then has `timeout_s`.
    """

    def __init__(
        self, manager: pluggy.PluginManager, *, timeout_s: float = 5.0, serves: bool = True
    ) -> None:
        self._manager = manager
        self._isolation = Isolation(timeout_s, serves=serves)
        self._examination = Isolation(timeout_s, level=logging.DEBUG, serves=serves)
        self._known: dict[str, tuple[list[pluggy.HookImpl], list[_Implementation]]] = {}

    def implemented(self, name: str) -> bool:
        """Tell whether any plugin implements a hook, so that callers can save the arguments."""
        return bool(self._registered(name))

    async def lookup(self, name: str, /, *, strict: bool = False, **arguments: Any) -> Any | None:
        """Ask one plugin after the other until one has an answer.

        Args:
            name: The hook.
            strict: Whether a plugin that fails ends the search. Without it,
                the next one is asked.
            **arguments: What the hook's specification lists.

        Returns:
            The first answer that is not None, or None.

        Raises:
            PluginError: A plugin failed and `strict` is set; already logged.
        """
        for implementation in self._implementations(name):
            try:
                answer = await self._ask(implementation, arguments)
                if answer is not None:
                    return self._checked(implementation, answer, _ANSWERS[name])
            except PluginError:
                if strict:
                    raise
        return None

    async def permit(self, name: str, /, **arguments: Any) -> Denied | None:
        """Ask every plugin for an objection, until one has any.

        Args:
            name: The hook.
            **arguments: What the hook's specification lists.

        Returns:
            None if nobody objects. A plugin objects with False or `Denied`; one
            that raises, hangs or answers anything but None or True besides denies
            as well, with the code ``plugin-failed``.
        """
        for implementation in self._implementations(name):
            try:
                answer = await self._ask(implementation, arguments)
                verdict = self._checked(implementation, answer, _VERDICT)
            except PluginError:
                return _UNDECIDED
            if verdict is False:
                return _NOT_ALLOWED
            if isinstance(verdict, Denied):
                return verdict
        return None

    def notify(self, name: str, /, *, after: str = "", **arguments: Any) -> None:
        """Tell every plugin; results are ignored and failures only logged.

        Asynchronous implementations run on as tasks of their own: `settle` waits
        for them.

        Args:
            name: The hook.
            after: Another hook: a plugin is told when what it was asked there about the same
                `request` and did not answer in time, or before nobody waited any more, is over.
            **arguments: What the hook's specification lists.
        """
        for implementation in self._implementations(name):
            call = functools.partial(self._call, implementation, arguments)
            subject = arguments.get(_SUBJECT)
            self._isolation.tell(implementation.plugin, name, call, after=after, subject=subject)

    async def settle(self) -> None:
        """Wait until asynchronous notifications have finished or timed out."""
        await self._isolation.settle()
        await self._examination.settle()

    def collect(
        self,
        name: str,
        /,
        *,
        on_failure: Callable[[PluginError], None] | None = None,
        **arguments: Any,
    ) -> list[tuple[str, Any]]:
        """Ask every plugin what it contributes.

        Args:
            name: The hook; its implementations may not be asynchronous.
            on_failure: Is told of a plugin that failed, instead of an exception.
            **arguments: What the hook's specification lists.

        Returns:
            Pairs of plugin name and contribution, without those that are None.

        Raises:
            PluginError: A plugin failed and nobody is told; already logged.
        """
        found = []
        for implementation in self._implementations(name):
            try:
                contribution = self._contribution(implementation, arguments)
            except PluginError as error:
                if on_failure is None:
                    raise
                on_failure(error)
                continue
            if contribution is not None:
                found.append((implementation.plugin, contribution))
        return found

    async def ask_plugin(
        self, plugin: str, name: str, /, *, timeout_s: float | None = None, **arguments: Any
    ) -> None:
        """Call what one plugin implements of a life cycle hook, and wait for it.

        Args:
            plugin: The plugin's name.
            name: The hook.
            timeout_s: Another time-out than the usual one.
            **arguments: What the hook's specification lists.

        Raises:
            PluginError: It failed; already logged.
        """
        for implementation in self._implementations(name):
            if implementation.plugin == plugin:
                await self._ask(implementation, arguments, timeout_s)

    async def examine(self) -> tuple[list[tuple[str, str]], list[PluginError]]:
        """Let every plugin `check` what its settings name.

        Returns:
            Pairs of plugin name and sentence; and the failures, for the caller to report:
            the log has no more than their tracebacks, at DEBUG.
        """
        found, failures = [], []
        for implementation in self._implementations("check"):
            try:
                sentences = await self._ask(implementation, {}, CHECK_TIMEOUT_S)
                checked = self._checked(implementation, sentences or (), _FINDINGS)
                found += [(implementation.plugin, sentence) for sentence in checked]
            except PluginError as error:
                failures.append(error)
        return found, failures

    async def run(self, plugin: str, what: str, function: Callable[..., Any], /, *args: Any) -> Any:
        """Call a function that a plugin contributed, such as a message type's handler.

        Args:
            plugin: The plugin's name, as `collect` gave it.
            what: What the function is, for the log: ``the handler of dnd``.
            function: The plugin's function, asynchronous or not.
            *args: What it is called with.

        Returns:
            What it returned.

        Raises:
            PluginError: It raised or hung; already logged by the plugin's name.
        """
        result = self._isolation.call(plugin, what, function, *args)
        if not inspect.isawaitable(result):
            return result
        return await self._isolation.wait(plugin, what, result)

    def _registered(self, name: str) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, name)
        return caller.get_hookimpls()

    def _implementations(self, name: str) -> list[_Implementation]:
        """Return a hook's implementations in order; sorted anew after every change."""
        registered = self._registered(name)
        if not registered:
            return []
        known = self._known.get(name)
        if known is None or known[0] != registered:
            known = registered, _in_order(self._manager, name, registered)
            self._known[name] = known
        return known[1]

    def _isolation_of(self, hook: str) -> Isolation:
        return self._examination if hook == "check" else self._isolation

    def _call(self, implementation: _Implementation, arguments: Mapping[str, Any]) -> Any:
        return self._isolation_of(implementation.hook).call(
            implementation.plugin,
            implementation.hook,
            implementation.function,
            *[arguments[name] for name in implementation.required],
            **{name: arguments[name] for name in implementation.optional},
        )

    async def _ask(
        self,
        implementation: _Implementation,
        arguments: Mapping[str, Any],
        timeout_s: float | None = None,
    ) -> Any:
        result = self._call(implementation, arguments)
        if not inspect.isawaitable(result):
            return result
        hook = implementation.hook
        subject = arguments.get(_SUBJECT)
        isolation = self._isolation_of(hook)
        return await isolation.wait(implementation.plugin, hook, result, timeout_s, subject)

    def _contribution(self, implementation: _Implementation, arguments: Mapping[str, Any]) -> Any:
        contribution = self._call(implementation, arguments)
        if inspect.isawaitable(contribution):
            discard(contribution)
            reason = "is asynchronous, which this hook must not be"
            raise self._isolation.failure(implementation.plugin, implementation.hook, reason)
        if contribution is None:
            return None
        return self._checked(implementation, contribution, _CONTRIBUTIONS[implementation.hook])

    def _checked(self, implementation: _Implementation, result: Any, expected: _Expected) -> Any:
        """Refuse a result of the wrong type; its value is not logged, it may be a secret."""
        description, fits = expected
        if _fits(result, fits):
            return result
        reason = f"returned a {type(result).__name__}, but has to return {description}"
        hook = implementation.hook
        raise self._isolation_of(hook).failure(implementation.plugin, hook, reason)


@dataclass(frozen=True, slots=True)
class _Implementation:
    """One plugin's function for one hook, and the arguments that it wants."""

    plugin: str
    hook: str
    function: Callable[..., Any]
    required: tuple[str, ...]
    optional: tuple[str, ...]


_Expected = tuple[str, Callable[[Any], bool]]
"""What a hook returns: in words, and a function that tells."""

_UNDECIDED = Denied("a rule of this server could not be checked", "plugin-failed")
_NOT_ALLOWED = Denied("not allowed")


def _in_order(
    manager: pluggy.PluginManager, hook: str, registered: Sequence[pluggy.HookImpl]
) -> list[_Implementation]:
    """Sort implementations: tryfirst, others, trylast; each as the plugins were registered."""
    plugins = [plugin for plugin, _ in manager.list_name_plugin()]

    def key(implementation: pluggy.HookImpl) -> tuple[int, int]:
        rank = 0 if implementation.tryfirst else 2 if implementation.trylast else 1
        return rank, plugins.index(implementation.plugin_name)

    specified = getattr(manager.hook, hook).spec.argnames
    return [_implementation(hook, each, specified) for each in sorted(registered, key=key)]


def _implementation(
    hook: str, registered: pluggy.HookImpl, specified: Sequence[str]
) -> _Implementation:
    if registered.wrapper or registered.hookwrapper:
        reason = f"{hook} is a hook wrapper; those are not supported"
        raise PluginError(registered.plugin_name, reason)
    return _Implementation(
        registered.plugin_name,
        hook,
        registered.function,
        tuple(registered.argnames),
        tuple(name for name in registered.kwargnames if name in specified),
    )


def _fits(result: Any, fits: Callable[[Any], bool]) -> bool:
    """Tell whether a result is right; looking at it may run a plugin's code, and that may raise."""
    try:
        return fits(result)
    except Exception:
        return False


def _is_verdict(result: Any) -> bool:
    return result is None or isinstance(result, bool | Denied)


def _is_sequence(result: Any) -> bool:
    return isinstance(result, list | tuple)


def _is_rule(result: Any) -> bool:
    """Tell whether something is ``(pattern, handler class[, arguments])``."""
    if not _is_sequence(result) or len(result) not in {2, 3} or not isinstance(result[0], str):
        return False
    try:
        re.compile(result[0])
    except re.error:
        return False
    return inspect.isclass(result[1])


def _is_protocol(result: Any) -> bool:
    return callable(getattr(result, "claims", None)) and callable(getattr(result, "handle", None))


def _is_handler_table(result: Any) -> bool:
    return isinstance(result, Mapping) and all(
        isinstance(name, str) and callable(handler) for name, handler in result.items()
    )


def _is_counter_table(result: Any) -> bool:
    return isinstance(result, Mapping) and all(
        isinstance(name, str) and isinstance(count, int) and _is_in_64_bits(count)
        for name, count in result.items()
    )


def _is_gauge_table(result: Any) -> bool:
    return isinstance(result, Mapping) and all(
        isinstance(name, str) and _is_measure(number) for name, number in result.items()
    )


def _is_measure(number: Any) -> bool:
    if isinstance(number, int):
        return _is_in_64_bits(number)
    return isinstance(number, float) and math.isfinite(number)


def _is_in_64_bits(number: int) -> bool:
    """Tell whether a float can hold a whole number, as what shows it needs; no count is larger."""
    return -(2**63) <= number < 2**63


def _is_collection_table(result: Any) -> bool:
    return isinstance(result, Mapping) and all(
        isinstance(name, str) and not collection_fault(name) and isinstance(each, Collection)
        for name, each in result.items()
    )


def _is_moment(expires_at: Any) -> bool:
    """Tell whether something can expire, if it ever does: after NaN comes no time."""
    if expires_at is None:
        return True
    return isinstance(expires_at, int | float) and not math.isnan(expires_at)


def _is_identity(result: Any) -> bool:
    return isinstance(result, Identity) and _is_moment(result.expires_at)


def _is_credential(result: Any) -> bool:
    return isinstance(result, TurnCredential) and _is_moment(result.expires_at)


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda result: _is_sequence(result) and all(map(fits, result))


_VERDICT: _Expected = ("None, True, False or Denied", _is_verdict)

_FINDINGS: _Expected = ("a list of sentences", _list_of(lambda each: isinstance(each, str)))

_SUBJECT = "request"
"""The argument of a hook by which what two hooks were asked and told belongs together."""

_ANSWERS: dict[str, _Expected] = {
    "authenticate": (
        "Identity (expires_at: Unix seconds or None), Refused or None",
        lambda result: isinstance(result, Refused) or _is_identity(result),
    ),
    "scope_for": ("a string or None", lambda result: isinstance(result, str)),
    "ice_servers": (
        "a list of IceServer or None",
        _list_of(lambda each: isinstance(each, IceServer)),
    ),
    "turn_credential": (
        "TurnCredential (expires_at: Unix seconds or None) or None",
        _is_credential,
    ),
}

_CONTRIBUTIONS: dict[str, _Expected] = {
    "http_handlers": (
        "a list of (pattern, handler class) or (pattern, handler class, arguments)",
        _list_of(_is_rule),
    ),
    "stream_protocols": ("a list of StreamProtocol", _list_of(_is_protocol)),
    "message_types": ("a dictionary from type to function", _is_handler_table),
    "collections": ("a dictionary from a free lower case name to Collection", _is_collection_table),
    "counters": ("a dictionary from name to whole number, of 64 bits", _is_counter_table),
    "gauges": ("a dictionary from name to finite number, whole ones of 64 bits", _is_gauge_table),
    "cli_commands": (
        "a list of click commands",
        _list_of(lambda each: isinstance(getattr(each, "name", None), str)),
    ),
}
