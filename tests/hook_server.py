"""A server that consists of its hooks only; plugins are made from plain functions."""

import asyncio
import types
from collections.abc import Callable
from typing import Any

import pluggy

from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Hooks
from tornado_webrtc.implementation import hook_manager


class HookServer:
    """A pluggy manager with plugins that are made from plain functions."""

    def __init__(self, timeout_s: float = 5.0) -> None:
        self.manager: pluggy.PluginManager = hook_manager()
        self.hooks = Hooks(self.manager, timeout_s=timeout_s)

    def add(self, name: str, hook: str, /, **options: Any) -> Callable[[Callable[..., Any]], None]:
        def register(function: Callable[..., Any]) -> None:
            plugin = types.ModuleType(name)
            setattr(plugin, hook, hookimpl(function, **options))
            self.manager.register(plugin, name)

        return register

    def add_permit(self, name: str, answer: object, *, is_async: bool = False) -> None:
        if is_async:

            @self.add(name, "permit_call")
            async def _(request: object) -> object:
                await asyncio.sleep(0)
                return outcome(answer)
        else:

            @self.add(name, "permit_call")
            def _(request: object) -> object:
                return outcome(answer)


def outcome(answer: object) -> object:
    if isinstance(answer, BaseException):
        raise answer
    return answer
