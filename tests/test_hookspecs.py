"""Every hook has a kind, a documented signature, and a place in docs/plugins.md that agrees."""

import dataclasses
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from tornado_webrtc import hooks, hookspecs
from tornado_webrtc.implementation import hook_manager
from tornado_webrtc.plugins import auth_token, logging_console

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "plugins.md"

HOOKS = sorted(
    name for name, value in vars(hookspecs).items() if hasattr(value, "tornado_webrtc_spec")
)
NOT_DOCUMENTED_AS_TYPES = {"Hooks", "MessageHandler", "at_key"}
TYPES = sorted(set(hooks.__all__) - NOT_DOCUMENTED_AS_TYPES)


def parameters(name: str) -> list[str]:
    return list(inspect.signature(getattr(hookspecs, name)).parameters)


def sections() -> dict[str, tuple[str, str, str]]:
    """Return the guide's parts by name: chapter, rest of the heading, text."""
    found: dict[str, tuple[str, str, str]] = {}
    chapter = ""
    for part in re.split(r"^(?=##+ )", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        heading, _, text = part.partition("\n")
        if heading.startswith("## "):
            chapter = heading.removeprefix("## ")
        elif match := re.fullmatch(r"### `(\w+)(.*)`", heading):
            assert match[1] not in found, f"{match[1]} is described twice"
            found[match[1]] = chapter, match[2], text
    return found


def bullets(text: str) -> list[str]:
    return re.findall(r"^\* `(\w+)(?:\(.*\))?`: \S", text, flags=re.MULTILINE)


def members(name: str) -> list[str]:
    documented = getattr(hooks, name)
    if dataclasses.is_dataclass(documented):
        return [field.name for field in dataclasses.fields(documented)]
    return [member for member in vars(documented) if not member.startswith("_")]


def test_there_are_hooks() -> None:
    assert {"authenticate", "permit_call", "peer_left", "message_types"} <= set(HOOKS)


def test_every_hook_has_one_kind() -> None:
    assert sorted(name for kind in hookspecs.KINDS.values() for name in kind) == HOOKS


def test_pluggy_knows_every_hook() -> None:
    manager = hook_manager()
    assert sorted(name for name in vars(manager.hook) if not name.startswith("_")) == HOOKS
    for name in HOOKS:
        assert list(getattr(manager.hook, name).spec.argnames) == parameters(name)


@pytest.mark.parametrize("name", HOOKS)
def test_docstring_says_when_and_what(name: str) -> None:
    text = inspect.getdoc(getattr(hookspecs, name)) or ""
    assert re.search(r"^Called ", text, flags=re.MULTILINE)
    _, _, arguments = text.partition("Args:\n")
    documented = re.findall(r"^    (\w+): ", arguments.partition("\n\n")[0], flags=re.MULTILINE)
    assert documented == parameters(name)


def test_guide_describes_exactly_these_hooks_and_types() -> None:
    assert sorted(sections()) == sorted([*HOOKS, *TYPES])


@pytest.mark.parametrize("name", HOOKS)
def test_guide_agrees_with_the_hook(name: str) -> None:
    chapter, signature, text = sections()[name]
    (kind,) = [kind for kind, names in hookspecs.KINDS.items() if name in names]
    assert chapter == f"Hooks: {kind}"
    assert signature == f"({', '.join(parameters(name))})"
    assert bullets(text) == parameters(name)


@pytest.mark.parametrize("name", HOOKS)
def test_guide_says_when_it_is_called_and_what_it_returns(name: str) -> None:
    chapter, _, text = sections()[name]
    if chapter == "Hooks: notify":
        assert re.match(r"\n[A-Z][^\n]+", text), "what has happened"
        return
    assert re.search(r"\bcalled\b", text, re.IGNORECASE)
    assert chapter == "Hooks: permit" or re.search(r"\bReturns\b", text)


def test_guide_has_a_map_of_all_hooks() -> None:
    _, _, text = GUIDE.read_text(encoding="utf-8").partition("\n## Which hook for what\n")
    table = text.partition("\n## ")[0]
    assert sorted(re.findall(r"\[`(\w+)`\]\(#", table)) == HOOKS


@pytest.mark.parametrize("name", TYPES)
def test_guide_agrees_with_the_type(name: str) -> None:
    _, _, text = sections()[name]
    assert bullets(text) == members(name)


def test_guide_shows_methods_as_they_are() -> None:
    _, _, text = sections()["Message"]
    shown = dict(re.findall(r"^\* `(\w+)\((.*)\)`", text, flags=re.MULTILINE))
    methods = {
        name: ", ".join(list(inspect.signature(value).parameters)[1:])
        for name, value in vars(hooks.Message).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    assert shown == methods


@pytest.mark.parametrize("plugin", [auth_token, logging_console])
def test_guide_lists_the_settings_of_shipped_plugins(plugin: ModuleType) -> None:
    name = plugin.__name__.rpartition(".")[2]
    _, _, text = GUIDE.read_text(encoding="utf-8").partition(f"\n### {name}\n")
    described = re.findall(r"^\| `(\w+)` \|", text.partition("\n### ")[0], flags=re.MULTILINE)
    assert described == re.findall(r"^(\w+) =", plugin.SETTINGS, flags=re.MULTILINE)


def test_python_in_the_guide_compiles() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text("utf-8"), re.M | re.S)
    assert blocks
    for block in blocks:
        compile(block, str(GUIDE), "exec")
