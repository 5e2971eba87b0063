"""What plugins contribute, and calls of single plugins, through `Hooks`."""

import asyncio
import enum
import logging
import re
import types
from collections.abc import Callable
from typing import Never

import pytest
from tornado.web import RequestHandler

from tests.hook_server import HookServer, outcome
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import Doubt
from tornado_webrtc.hookspecs import KINDS

ExpectLog = Callable[[str], None]


@pytest.fixture
def server() -> HookServer:
    return HookServer()


# --- collect ----------------------------------------------------------------


def add_message_types(server: HookServer, name: str, contribution: object) -> None:
    @server.add(name, "message_types")
    def _(server: object) -> object:
        return outcome(contribution)


def test_contributions_carry_the_plugins_names(server: HookServer) -> None:
    add_message_types(server, "a", {"x": print})
    add_message_types(server, "b", None)
    add_message_types(server, "c", {})
    assert server.hooks.collect("message_types", server=1) == [("a", {"x": print}), ("c", {})]


BAD_CONTRIBUTIONS = [
    (ValueError("x"), "raised ValueError: x"),
    ([("x", print)], "returned a list, but has to return a dictionary"),
    ({"x": 5}, "returned a dict, but has to return a dictionary"),
    ({5: print}, "returned a dict, but has to return a dictionary"),
]


@pytest.mark.parametrize(("contribution", "reason"), BAD_CONTRIBUTIONS)
def test_bad_contribution(
    server: HookServer, contribution: object, reason: str, expect_log: ExpectLog
) -> None:
    expect_log("^plugin bad: message_types")
    add_message_types(server, "a", {"x": print})
    add_message_types(server, "bad", contribution)
    add_message_types(server, "c", {})
    with pytest.raises(PluginError, match=f"^plugin bad: message_types {reason}"):
        server.hooks.collect("message_types", server=1)
    failures: list[PluginError] = []
    collected = server.hooks.collect("message_types", on_failure=failures.append, server=1)
    assert [name for name, _ in collected] == ["a", "c"]
    assert [failure.plugin for failure in failures] == ["bad"]


class Kind(enum.IntEnum):
    """A whole number of another class."""

    OTHER = 7


class Torn(dict[str, int]):
    """What cannot be looked at."""

    def items(self) -> Never:
        raise OSError("broken on purpose")


PROTOCOL = types.SimpleNamespace(name="echo", claims=print, handle=print)
COMMAND = types.SimpleNamespace(name="report")

CONTRIBUTIONS = [
    ("http_handlers", []),
    ("http_handlers", [(r"/x", RequestHandler), [r"/y/(.*)", RequestHandler, {"a": 1}]]),
    ("stream_protocols", (PROTOCOL,)),
    ("message_types", types.MappingProxyType({"x": print})),
    ("counters", {"made": 7}),
    ("gauges", {"full": 0.5, "waiting": 3}),
    ("counters", {"most": 2**63 - 1, "least": -(2**63)}),
    ("gauges", {"most": 2**63 - 1, "least": -(2**63), "far": 1e300, "kind": Kind.OTHER}),
    ("cli_commands", [COMMAND]),
]


@pytest.mark.parametrize(("hook", "contribution"), CONTRIBUTIONS)
def test_right_contributions(server: HookServer, hook: str, contribution: object) -> None:
    server.add("a", hook)(lambda: contribution)
    assert server.hooks.collect(hook, server=1) == [("a", contribution)]


@pytest.mark.parametrize(
    ("hook", "contribution"),
    [
        *[(hook, map(str, ())) for hook in KINDS["register"]],
        *[(hook, 5) for hook in KINDS["register"]],
        ("http_handlers", [r"/x"]),
        ("http_handlers", [(r"/x",)]),
        ("http_handlers", [(5, RequestHandler)]),
        ("http_handlers", [(r"/x(", RequestHandler)]),
        ("http_handlers", [(r"/x", print)]),
        ("http_handlers", [(r"/x", RequestHandler, {}, "name")]),
        ("stream_protocols", [print]),
        ("counters", {"made": 0.5}),
        ("gauges", {"full": "half"}),
        ("gauges", {"full": float("nan")}),
        ("gauges", {5: 5}),
        *[
            (hook, {"made": number})
            for hook in ("counters", "gauges")
            for number in (2**63, -(2**63) - 1, 10**400)
        ],
        *[(hook, Torn()) for hook in ("counters", "gauges", "message_types")],
        ("cli_commands", [5]),
    ],
)
def test_wrong_contributions(
    server: HookServer, hook: str, contribution: object, expect_log: ExpectLog
) -> None:
    expect_log(f"plugin a: {hook} returned a ")
    server.add("a", hook)(lambda: contribution)
    with pytest.raises(PluginError):
        server.hooks.collect(hook, server=1)


def test_contributions_are_not_asynchronous(server: HookServer, expect_log: ExpectLog) -> None:
    expect_log("plugin a: message_types is asynchronous")

    @server.add("a", "message_types")
    async def _(server: object) -> object:
        raise AssertionError

    with pytest.raises(PluginError):
        server.hooks.collect("message_types", server=1)


# --- examine ----------------------------------------------------------------


async def test_findings_carry_the_plugins_names(server: HookServer) -> None:
    doubt = Doubt("is odd")

    @server.add("a", "check")
    async def _() -> list[str]:
        await asyncio.sleep(0)
        return ["is wrong", doubt]

    server.add("b", "check")(lambda: None)
    server.add("c", "check")(lambda: ("is gone",))
    said = [("a", "is wrong"), ("a", doubt), ("c", "is gone")]
    assert await server.hooks.examine() == (said, [])


@pytest.mark.parametrize(
    ("answer", "reason"), [("is wrong", "a str"), ([5], "a list"), (ValueError("x"), "raised")]
)
async def test_wrong_findings_are_for_the_caller_to_report(
    server: HookServer, answer: object, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.add("a", "check")(lambda: outcome(answer))
    server.add("b", "check")(lambda: ["is wrong"])
    said, (failure,) = await server.hooks.examine()
    assert said == [("b", "is wrong")]
    assert failure.plugin == "a"
    assert re.match(f"check .*{reason}", failure.reason)
    (record,) = (each for each in caplog.records if each.message.startswith("plugin a: check "))
    assert record.levelno == logging.DEBUG


# --- single plugins ---------------------------------------------------------


async def test_one_plugin_is_asked(server: HookServer, expect_log: ExpectLog) -> None:
    expect_log("plugin b: start raised ValueError")
    started: list[str] = []
    for name in ("a", "b", "c"):

        @server.add(name, "start")
        async def _(server: object, name: str = name) -> None:
            started.append(name)
            if name == "b":
                raise ValueError

    await server.hooks.ask_plugin("c", "start", server=1)
    await server.hooks.ask_plugin("stranger", "start", server=1)
    with pytest.raises(PluginError, match="plugin b: start raised ValueError"):
        await server.hooks.ask_plugin("b", "start", server=1)
    assert started == ["c", "b"]


async def test_one_plugin_may_take_longer(expect_log: ExpectLog) -> None:
    server = HookServer(timeout_s=0.001)

    @server.add("a", "start")
    async def _(server: object) -> None:
        await asyncio.sleep(0.02)

    await server.hooks.ask_plugin("a", "start", timeout_s=5, server=1)
    expect_log(r"did not finish within 0\.001 s")
    with pytest.raises(PluginError):
        await server.hooks.ask_plugin("a", "start", server=1)


async def test_contributed_functions_are_isolated(
    server: HookServer, expect_log: ExpectLog
) -> None:
    async def handler(message: str) -> str:
        await asyncio.sleep(0)
        return message.upper()

    assert await server.hooks.run("a", "the handler of x", handler, "hello") == "HELLO"
    assert await server.hooks.run("a", "the handler of x", str.upper, "hello") == "HELLO"
    expect_log("plugin a: the handler of x raised AttributeError")
    with pytest.raises(PluginError):
        await server.hooks.run("a", "the handler of x", handler, 5)
