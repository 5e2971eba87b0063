"""How plugins are asked: in which order, what counts as an answer, and what failures do."""

import asyncio
import itertools
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.hook_server import HookServer, outcome
from tornado_webrtc import hookimpl, hooks
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import Denied, IceServer, Identity, Refused, TurnCredential
from tornado_webrtc.hookspecs import KINDS

ExpectLog = Callable[[str], None]

UNDECIDED = "plugin-failed"


@pytest.fixture
def server() -> HookServer:
    return HookServer()


def test_every_kind_of_result_is_checked() -> None:
    assert tuple(hooks._ANSWERS) == KINDS["lookup"]
    assert tuple(hooks._CONTRIBUTIONS) == KINDS["register"]


# --- without plugins --------------------------------------------------------


async def test_nobody_is_asked(server: HookServer) -> None:
    assert not server.hooks.implemented("permit_call")
    assert await server.hooks.permit("permit_call", request=1) is None
    assert await server.hooks.lookup("authenticate", request=1) is None
    assert server.hooks.collect("http_handlers", server=1) == []
    server.hooks.notify("peer_left", peer=1, reason="x")
    await server.hooks.settle()


def test_nobody_to_ask_awaits_nothing(server: HookServer) -> None:
    with pytest.raises(StopIteration) as ended:
        server.hooks.permit("permit_call", request=1).send(None)
    assert ended.value.value is None


async def test_unknown_hook_is_a_mistake_of_the_caller(server: HookServer) -> None:
    with pytest.raises(AttributeError):
        server.hooks.implemented("permit_cal")
    with pytest.raises(AttributeError):
        await server.hooks.permit("permit_cal", request=1)


async def test_missing_argument_is_a_mistake_of_the_caller(server: HookServer) -> None:
    server.add_permit("a", None)
    with pytest.raises(KeyError):
        await server.hooks.permit("permit_call", demand=1)


# --- arguments and order ----------------------------------------------------


async def test_plugins_get_the_arguments_that_they_name(server: HookServer) -> None:
    got: list[object] = []

    @server.add("none", "peer_left")
    def _() -> None:
        got.append(())

    @server.add("one", "peer_left")
    def _(reason: str) -> None:
        got.append(reason)

    @server.add("swapped", "peer_left")
    def _(reason: str, peer: object) -> None:
        got.append((reason, peer))

    @server.add("default", "peer_left")
    def _(peer: object, more: int = 5, reason: str = "none") -> None:
        got.append((peer, more, reason))

    server.hooks.notify("peer_left", peer="p", reason="r")
    assert got == [(), "r", ("r", "p"), ("p", 5, "r")]


ORDER_OPTIONS: dict[str, Mapping[str, bool]] = {
    "normal": {},
    "first": {"tryfirst": True},
    "last": {"trylast": True},
}


@pytest.mark.parametrize("kinds", list(itertools.product(ORDER_OPTIONS, repeat=4)))
def test_order(kinds: tuple[str, ...]) -> None:
    server = HookServer()
    got: list[str] = []
    names = [f"{kind}-{number}" for number, kind in enumerate(kinds)]
    for name, kind in zip(names, kinds, strict=True):

        @server.add(name, "peer_joined", **ORDER_OPTIONS[kind])
        def _(peer: object, name: str = name) -> None:
            got.append(name)

    server.hooks.notify("peer_joined", peer=1)
    expected = [
        name for kind in ("first", "normal", "last") for name in names if name.startswith(kind)
    ]
    assert got == expected


async def test_changes_are_noticed(server: HookServer) -> None:
    server.add_permit("a", None)
    assert await server.hooks.permit("permit_call", request=1) is None
    server.add_permit("b", Denied("b"))
    assert await server.hooks.permit("permit_call", request=1) == Denied("b")
    plugin = server.manager.unregister(name="b")
    assert await server.hooks.permit("permit_call", request=1) is None
    server.manager.register(plugin, "c")
    assert await server.hooks.permit("permit_call", request=1) == Denied("b")
    assert server.hooks.implemented("permit_call")
    server.manager.unregister(name="a")
    server.manager.unregister(name="c")
    assert not server.hooks.implemented("permit_call")


async def test_wrappers_are_refused(server: HookServer) -> None:
    @server.add("sly", "permit_call", wrapper=True)
    def _() -> Any:
        yield

    with pytest.raises(PluginError, match="plugin sly: permit_call is a hook wrapper"):
        await server.hooks.permit("permit_call", request=1)


# --- permit -----------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, True])
@pytest.mark.parametrize("is_async", [False, True])
async def test_no_objection(server: HookServer, answer: object, is_async: bool) -> None:
    server.add_permit("a", answer, is_async=is_async)
    server.add_permit("b", answer, is_async=is_async)
    assert await server.hooks.permit("permit_call", request=1) is None


DENIALS = [
    (False, "denied"),
    (Denied("no", "dnd"), "dnd"),
    (ValueError("broken"), UNDECIDED),
    (asyncio.CancelledError(), UNDECIDED),
    ("yes", UNDECIDED),
    (1, UNDECIDED),
    (0, UNDECIDED),
    (Refused("wrong type"), UNDECIDED),
]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize(("answer", "code"), DENIALS)
async def test_one_denial_is_enough(
    server: HookServer,
    position: int,
    is_async: bool,
    answer: object,
    code: str,
    expect_log: ExpectLog,
) -> None:
    if code == UNDECIDED:
        expect_log("^plugin naysayer: permit_call ")
    for number in range(3):
        if number == position:
            server.add_permit("naysayer", answer, is_async=is_async)
        else:
            server.add_permit(f"yes{number}", True, is_async=number % 2 == 0)
    denied = await server.hooks.permit("permit_call", request=1)
    assert denied is not None
    assert denied.code == code


@pytest.mark.parametrize("position", range(3))
async def test_time_out_denies(position: int, expect_log: ExpectLog) -> None:
    expect_log("plugin slow: permit_call did not finish within")
    server = HookServer(timeout_s=0.01)
    for number in range(3):
        if number == position:

            @server.add("slow", "permit_call")
            async def _(request: object) -> bool:
                await asyncio.Event().wait()
                return True
        else:
            server.add_permit(f"yes{number}", True)
    denied = await server.hooks.permit("permit_call", request=1)
    assert denied is not None
    assert denied.code == UNDECIDED


async def test_nobody_is_asked_after_a_denial(server: HookServer) -> None:
    asked: list[str] = []
    server.add_permit("a", False)

    @server.add("b", "permit_call")
    def _(request: object) -> None:
        asked.append("b")

    await server.hooks.permit("permit_call", request=1)
    assert asked == []


async def test_failed_plugin_is_not_named_to_the_client(
    server: HookServer, expect_log: ExpectLog
) -> None:
    expect_log("plugin naysayer")
    server.add_permit("naysayer", ValueError("the password is 1234"))
    denied = await server.hooks.permit("permit_call", request=1)
    assert denied is not None
    assert "naysayer" not in denied.reason
    assert "1234" not in denied.reason


async def test_value_of_a_wrong_result_is_not_logged(
    server: HookServer, caplog: pytest.LogCaptureFixture, expect_log: ExpectLog
) -> None:
    expect_log("returned a str")
    server.add_permit("naysayer", "correct-horse-battery")
    await server.hooks.permit("permit_call", request=1)
    assert "correct-horse-battery" not in caplog.text


async def test_implementations_are_awaited_one_after_the_other(server: HookServer) -> None:
    steps: list[str] = []
    for name in ("a", "b"):

        @server.add(name, "permit_join")
        async def _(request: object, name: str = name) -> None:
            steps.append(f"{name} begins")
            await asyncio.sleep(0)
            steps.append(f"{name} ends")

    await server.hooks.permit("permit_join", request=1)
    assert steps == ["a begins", "a ends", "b begins", "b ends"]


async def test_future_is_awaited_as_well(server: HookServer) -> None:
    future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    server.add_permit("a", future)
    asyncio.get_running_loop().call_soon(future.set_result, Denied("no"))
    assert await server.hooks.permit("permit_call", request=1) == Denied("no")


# --- lookup -----------------------------------------------------------------


def add_lookup(server: HookServer, name: str, answer: object, *, is_async: bool = False) -> None:
    if is_async:

        @server.add(name, "authenticate")
        async def _(request: object) -> object:
            await asyncio.sleep(0)
            return outcome(answer)
    else:

        @server.add(name, "authenticate")
        def _(request: object) -> object:
            return outcome(answer)


@pytest.mark.parametrize("is_async", [False, True])
async def test_first_answer_wins(server: HookServer, is_async: bool) -> None:
    add_lookup(server, "a", None, is_async=is_async)
    add_lookup(server, "b", Identity("b"), is_async=is_async)
    add_lookup(server, "c", Identity("c"))
    assert await server.hooks.lookup("authenticate", request=1) == Identity("b")


@pytest.mark.parametrize("is_async", [False, True])
async def test_none_is_no_answer(server: HookServer, is_async: bool) -> None:
    add_lookup(server, "a", None, is_async=is_async)
    assert await server.hooks.lookup("authenticate", request=1) is None


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("broken", [ValueError("x"), True, {"subject": "admin"}, ""])
async def test_broken_plugin_is_skipped(
    server: HookServer, broken: object, is_async: bool, expect_log: ExpectLog
) -> None:
    expect_log("^plugin broken: authenticate (raised|returned)")
    add_lookup(server, "broken", broken, is_async=is_async)
    add_lookup(server, "c", Identity("c"))
    assert await server.hooks.lookup("authenticate", request=1) == Identity("c")


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("broken", [ValueError("x"), True, ""])
async def test_broken_plugin_ends_a_strict_search(
    server: HookServer, broken: object, is_async: bool, expect_log: ExpectLog
) -> None:
    expect_log("^plugin broken: authenticate (raised|returned)")
    add_lookup(server, "a", None)
    add_lookup(server, "broken", broken, is_async=is_async)
    add_lookup(server, "c", Identity("c"))
    with pytest.raises(PluginError, match=r"^plugin broken: authenticate"):
        await server.hooks.lookup("authenticate", strict=True, request=1)


async def test_hanging_plugin_is_skipped(expect_log: ExpectLog) -> None:
    expect_log("plugin slow: scope_for did not finish within")
    server = HookServer(timeout_s=0.01)

    @server.add("slow", "scope_for")
    async def _(request: object) -> str:
        await asyncio.Event().wait()
        return "never"

    @server.add("quick", "scope_for")
    def _(request: object) -> str:
        return "quick"

    assert await server.hooks.lookup("scope_for", request=1) == "quick"


@pytest.mark.parametrize(
    ("hook", "answer"),
    [
        ("authenticate", Identity("a")),
        ("authenticate", Refused("no")),
        ("scope_for", ""),
        ("scope_for", "room"),
        ("ice_servers", []),
        ("ice_servers", (IceServer(("stun:192.0.2.1",), False),)),
    ],
)
async def test_right_answers(server: HookServer, hook: str, answer: object) -> None:
    def implementation(request: object) -> object:
        return answer

    server.add("a", hook)(implementation)
    assert await server.hooks.lookup(hook, strict=True, request=1) is answer


@pytest.mark.parametrize(
    ("hook", "answer"),
    [
        ("authenticate", Denied("no")),
        ("authenticate", Identity("ann", expires_at=math.nan)),
        ("authenticate", Identity("ann", expires_at=datetime.now(UTC))),  # type: ignore[arg-type]
        ("turn_credential", TurnCredential(password="x", user="ann", expires_at=math.nan)),
        ("turn_credential", "password"),
        ("scope_for", 7),
        ("ice_servers", "stun:192.0.2.1"),
        ("ice_servers", ["stun:192.0.2.1"]),
        ("ice_servers", IceServer(("stun:192.0.2.1",), False)),
    ],
)
async def test_wrong_answers(
    server: HookServer, hook: str, answer: object, expect_log: ExpectLog
) -> None:
    def implementation(request: object) -> object:
        return answer

    expect_log(f"plugin a: {hook} returned a {type(answer).__name__}, but has to return")
    server.add("a", hook)(implementation)
    assert await server.hooks.lookup(hook, request=1) is None


async def test_cancellation_of_the_caller_passes_through(server: HookServer) -> None:
    began = asyncio.Event()

    @server.add("slow", "permit_call")
    async def _(request: object) -> None:
        began.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(server.hooks.permit("permit_call", request=1))
    async with asyncio.timeout(5):
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# --- notify -----------------------------------------------------------------


async def test_all_are_told(server: HookServer, expect_log: ExpectLog) -> None:
    expect_log("plugin broken: peer_left raised ValueError")
    expect_log("plugin late: peer_left raised TypeError")
    told: list[str] = []

    @server.add("broken", "peer_left")
    def _(peer: object) -> None:
        raise ValueError

    @server.add("late", "peer_left")
    async def _(peer: object) -> None:
        await asyncio.sleep(0)
        raise TypeError

    @server.add("async", "peer_left")
    async def _(peer: object) -> None:
        told.append("async")

    @server.add("sync", "peer_left")
    def _(peer: object) -> bool:
        told.append("sync")
        return False

    server.hooks.notify("peer_left", peer=1, reason="x")
    assert told == ["sync"]
    await server.hooks.settle()
    assert told == ["sync", "async"]


async def test_plugin_is_told_after_its_answer_that_nobody_waits_for(server: HookServer) -> None:
    told: list[str] = []
    asked, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        @hookimpl
        async def permit_join(self) -> None:
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                await go_on.wait()
                told.append("slow: answered")

        @hookimpl
        def join_abandoned(self, request: str) -> None:
            told.append(f"slow: {request}")

    @server.add("quick", "join_abandoned")
    def _(request: str) -> None:
        told.append(f"quick: {request}")

    server.manager.register(Slow(), "slow")
    task = asyncio.create_task(server.hooks.permit("permit_join", request="it"))
    async with asyncio.timeout(5):
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.hooks.notify("join_abandoned", after="permit_join", request="it")
        assert told == ["quick: it"], "it was not asked"
        go_on.set()
        await server.hooks.settle()
    assert told[1:] == ["slow: answered", "slow: it"]


def test_async_notification_without_a_loop(server: HookServer, expect_log: ExpectLog) -> None:
    expect_log("plugin a: peer_left is asynchronous, but no event loop runs")
    told: list[str] = []

    @server.add("a", "peer_left")
    async def _(peer: object) -> None:
        raise AssertionError

    @server.add("b", "peer_left")
    def _(peer: object) -> None:
        told.append("b")

    server.hooks.notify("peer_left", peer=1, reason="x")
    assert told == ["b"]
