"""Faults that a plugin's code shows before any of it runs."""

import sys
import textwrap
import types

import pytest

from tornado_webrtc import hookspecs
from tornado_webrtc.implementation import (
    faults,
    guards,
    hook_manager,
    hook_parameters,
    is_required,
    version_of,
)


def module(source: str, name: str = "lamp") -> types.ModuleType:
    made = types.ModuleType(name)
    code = f"from tornado_webrtc import hookimpl\n{textwrap.dedent(source)}"
    exec(compile(code, f"{name}.py", "exec"), made.__dict__)  # noqa: S102 - that is the point
    return made


GOOD = {
    "functions": """
        @hookimpl
        def peer_left(peer): ...
        """,
    "class": """
        class Plugin:
            @hookimpl
            async def peer_left(self, reason, peer): ...
            @hookimpl(tryfirst=True)
            def peer_joined(self): ...
            def other(self): ...
        """,
    "inherited": """
        class Base:
            @hookimpl
            def peer_left(self, peer): ...
        class Plugin(Base):
            pass
        """,
    "static and class methods": """
        class Plugin:
            @hookimpl
            @staticmethod
            def peer_left(peer): ...
            @hookimpl
            @classmethod
            def peer_joined(cls, peer): ...
        """,
    "another name": """
        @hookimpl(specname="peer_left")
        def goodbye(peer): ...
        """,
    "hook of another version": """
        @hookimpl(optionalhook=True)
        def peer_married(peer): ...
        @hookimpl
        def peer_left(peer): ...
        """,
    "defaults": """
        @hookimpl
        def peer_left(peer, times=3, *, more=False): ...
        """,
    "settings": """
        SETTINGS = "colour = string"
        @hookimpl
        def peer_left(peer): ...
        """,
    "functions beside a class, not hooks": """
        def start(): ...
        class Plugin:
            @hookimpl
            def stop(self): ...
        """,
    "borrowed": """
        from threading import Thread
        class Plugin(Thread):
            @hookimpl
            def stop(self): ...
        """,
}

BAD = {
    "it has neither a class Plugin nor a function marked with @hookimpl": "x = 1",
    "Plugin is a int, but has to be a class": "Plugin = 5",
    "SETTINGS is a dict, but has to be a string": """
        SETTINGS = {}
        class Plugin: ...
        """,
    "peer_left() is a hook implementation outside the class Plugin": """
        class Plugin: ...
        @hookimpl
        def peer_left(peer): ...
        """,
    "permit_cal() implements a hook that does not exist; did you mean permit_call?": """
        @hookimpl
        def permit_cal(request): ...
        """,
    "quux() implements a hook that does not exist": """
        class Plugin:
            @hookimpl
            def quux(self): ...
        """,
    "goodbye() implements a hook that does not exist; did you mean peer_left?": """
        @hookimpl(specname="peer_lefts")
        def goodbye(peer): ...
        """,
    "permit_call() is named like a hook, but is not marked with @hookimpl": """
        @hookimpl
        def peer_left(): ...
        def permit_call(request): ...
        """,
    "permit_join() is named like a hook, but is not marked with @hookimpl": """
        class Plugin:
            @staticmethod
            def permit_join(request): ...
        """,
    "peer_left() has the parameter pear, which the hook has not; did you mean peer?": """
        @hookimpl
        def peer_left(pear): ...
        """,
    "peer_left() has the parameter x, which the hook has not; the hook has peer, reason": """
        class Plugin:
            @hookimpl
            def peer_left(self, x): ...
        """,
    "cli_commands() has the parameter server, which the hook has not": """
        @hookimpl
        def cli_commands(server): ...
        """,
    "peer_left() has the parameter *peer, but can have only named ones": """
        @hookimpl
        def peer_left(*peer): ...
        """,
    "peer_left() has the parameter **more, but can have only named ones": """
        @hookimpl
        def peer_left(**more): ...
        """,
    "peer_left() has the parameter reason, but can have only named ones": """
        @hookimpl
        def peer_left(*, reason): ...
        """,
    "peer_left() lacks its first parameter, self": """
        class Plugin:
            @hookimpl
            def peer_left(peer): ...
        """,
    "peer_joined() lacks its first parameter, self": """
        class Plugin:
            @hookimpl
            def peer_joined(): ...
        """,
    "permit_call() is a hook wrapper; those are not supported": """
        @hookimpl(wrapper=True)
        def permit_call(): ...
        """,
    "permit_call() is marked both tryfirst and trylast": """
        @hookimpl(tryfirst=True, trylast=True)
        def permit_call(): ...
        """,
    "peer_left() is a generator, whose code would never run": """
        @hookimpl
        def peer_left(peer):
            yield
        """,
    "peer_joined() is a generator, whose code would never run": """
        @hookimpl
        async def peer_joined(peer):
            yield
        """,
    "http_handlers() is asynchronous, which this hook must not be": """
        class Plugin:
            @hookimpl
            async def http_handlers(self): ...
        """,
}


@pytest.mark.parametrize("source", GOOD.values(), ids=GOOD.keys())
def test_good_plugin(source: str) -> None:
    assert faults(module(source)) == []


@pytest.mark.parametrize(("fault", "source"), BAD.items())
def test_fault(fault: str, source: str) -> None:
    assert faults(module(source)) == [fault]


def test_all_faults_are_found() -> None:
    source = """
        @hookimpl
        def peer_lefd(): ...
        @hookimpl
        def peer_left(x, y): ...
        """
    assert len(faults(module(source))) == 3


def test_imported_function_of_a_hooks_name_is_not_the_plugins() -> None:
    source = """
        from asyncio import run as start
        @hookimpl
        def peer_left(peer): ...
        """
    assert faults(module(source)) == []


def test_function_of_a_submodule_is_the_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    part = module("def permit_call(request): ...", "lamp.part")
    monkeypatch.setitem(sys.modules, "lamp.part", part)
    source = """
        from lamp.part import permit_call
        @hookimpl
        def peer_left(peer): ...
        """
    assert faults(module(source)) == [
        "permit_call() is named like a hook, but is not marked with @hookimpl"
    ]


def test_nothing_of_the_plugin_is_run() -> None:
    source = """
        class Plugin:
            def __init__(self): raise AssertionError
            @property
            def colour(self): raise AssertionError
            @hookimpl
            def peer_left(self): raise AssertionError
        """
    assert faults(module(source)) == []


@pytest.mark.parametrize("hook", ["authenticate", "scope_for", *hookspecs.KINDS["permit"]])
def test_guards(hook: str) -> None:
    assert guards(module(f"@hookimpl\ndef {hook}(): ..."))
    assert guards(module(f"class Plugin:\n  @hookimpl\n  def {hook}(self): ..."))


def test_others_guard_nothing() -> None:
    assert not guards(module("@hookimpl\ndef peer_left(): ..."))


@pytest.mark.parametrize(
    ("names", "version", "required"),
    [
        ({"__version__": "1.2", "REQUIRED": True}, "1.2", True),
        ({"__version__": (1, 2), "REQUIRED": 1}, "", False),
        ({}, "", False),
    ],
)
def test_what_a_module_says_of_itself(
    names: dict[str, object], version: str, required: bool
) -> None:
    module = types.ModuleType("lamp")
    vars(module).update(names)
    assert (version_of(module), is_required(module)) == (version, required)


def test_managers_are_separate() -> None:
    one, other = hook_manager(), hook_manager()
    one.register(module("@hookimpl\ndef peer_left(peer): ..."), "lamp")
    assert one.hook.peer_left.get_hookimpls()
    assert not other.hook.peer_left.get_hookimpls()


def test_parameters_of_hooks() -> None:
    assert hook_parameters()["peer_left"] == ("peer", "reason")
    assert hook_parameters()["cli_commands"] == ()
