"""Sizes, names and places: every source file has its tests, none grows out of hand.

`tornado_webrtc/x.py` is tested by `tests/test_x.py`, `tornado_webrtc/pkg/x.py`
by `tests/pkg/test_x.py`, `plugins/x/` by `tests/plugins/test_x.py` and
`plugins/x/y.py` by `tests/plugins/x/test_y.py`.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 80
NAMELESS = {"common", "helper", "helpers", "misc", "util", "utils"}

# Source files whose tests stand elsewhere, and where.
TESTED_ELSEWHERE = {
    "tornado_webrtc/__init__.py": "tests/test_packaging.py",
    "tornado_webrtc/__main__.py": "tests/test_packaging.py",
}


def python_files(root: Path) -> list[Path]:
    folders = ("tornado_webrtc", "plugins", "tests", "bench", "docs", "release")
    nested = (path for folder in folders for path in (root / folder).rglob("*.py"))
    return sorted([*root.glob("*.py"), *nested])


def expected_test(source: str) -> str:
    """Return where the tests of a source file belong; both paths are relative to the root."""
    path = Path(source)
    parts = path.parts[1:] if path.parts[0] == "tornado_webrtc" else path.parts
    *folders, name = parts
    if name == "__init__.py" and folders:
        *folders, name = folders
    return Path("tests", *folders, f"test_{Path(name).stem}.py").as_posix()


def without_tests(root: Path) -> Iterator[str]:
    sources = [path for path in python_files(root) if path.relative_to(root).parts[0] != "tests"]
    for path in sources:
        source = path.relative_to(root).as_posix()
        if path.parent == root or not says_more_than_names(path):
            continue
        test = TESTED_ELSEWHERE.get(source, expected_test(source))
        if not (root / test).is_file():
            yield f"{source}: {test} is missing"


def says_more_than_names(path: Path) -> bool:
    """Tell code from an `__init__.py` with nothing but a docstring, imports and `__all__`."""
    body = ast.parse(path.read_bytes()).body
    return path.name != "__init__.py" or not all(
        isinstance(each, ast.Import | ast.ImportFrom)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        or (isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__all__")
        for each in body
    )


def too_long(root: Path) -> Iterator[str]:
    for path in python_files(root):
        source = path.read_text(encoding="utf-8")
        shown = path.relative_to(root).as_posix()
        if (lines := len(source.splitlines())) > MAX_FILE_LINES:
            yield f"{shown}: {lines} lines, at most {MAX_FILE_LINES}"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    yield (
                        f"{shown}:{node.lineno}: {node.name} has {length} lines, "
                        f"at most {MAX_FUNCTION_LINES}"
                    )


def ill_named(root: Path) -> Iterator[str]:
    for path in python_files(root):
        shown = path.relative_to(root)
        for part in (*shown.parts[:-1], shown.stem.removeprefix("test_")):
            if part in NAMELESS:
                yield f"{shown.as_posix()}: {part!r} says nothing about what is in it"


def without_docstring(root: Path) -> Iterator[str]:
    for path in python_files(root):
        if not ast.get_docstring(ast.parse(path.read_bytes())):
            yield f"{path.relative_to(root).as_posix()}: the module docstring is missing"


def unpackaged_plugins(root: Path) -> Iterator[str]:
    """Find what `setup.py` would leave out: a shipped plugin is a folder with `__init__.py`."""
    folder = root / "plugins"
    for name in sorted({path.relative_to(folder).parts[0] for path in folder.rglob("*.py")}):
        if not (folder / name / "__init__.py").is_file():
            yield f"plugins/{name}: a shipped plugin is a folder with an __init__.py"


Check = Callable[[Path], Iterator[str]]
CHECKS: list[Check] = [without_tests, too_long, ill_named, without_docstring, unpackaged_plugins]


@pytest.mark.parametrize("check", CHECKS)
def test_this_checkout(check: Check) -> None:
    assert list(check(ROOT)) == []


def test_this_checkout_was_read() -> None:
    shown = {path.relative_to(ROOT).as_posix() for path in python_files(ROOT)}
    assert {"setup.py", "tornado_webrtc/errors.py", "tests/test_layout.py"} <= shown


def test_exceptions_are_not_stale() -> None:
    for source, test in TESTED_ELSEWHERE.items():
        assert (ROOT / source).is_file(), f"{source} is gone: take it out of the list"
        assert (ROOT / test).is_file()


@pytest.mark.parametrize(
    ("source", "test"),
    [
        ("tornado_webrtc/state.py", "tests/test_state.py"),
        ("tornado_webrtc/signaling/peer.py", "tests/signaling/test_peer.py"),
        ("tornado_webrtc/web/__init__.py", "tests/test_web.py"),
        ("plugins/rooms/__init__.py", "tests/plugins/test_rooms.py"),
        ("plugins/rooms/scope.py", "tests/plugins/rooms/test_scope.py"),
    ],
)
def test_place_of_the_tests(source: str, test: str) -> None:
    assert expected_test(source) == test


METHOD = "    def long() -> None:\n" + "        print()\n" * MAX_FUNCTION_LINES
FAULTS: list[tuple[Check, str, str, str]] = [
    (without_tests, "tornado_webrtc/a.py", '"""Doc."""\n', "tests/test_a.py is missing"),
    (without_tests, "plugins/a/__init__.py", "x = 1\n", "tests/plugins/test_a.py is missing"),
    (too_long, "tornado_webrtc/a.py", "x = 1\n" * 501, "a.py: 501 lines"),
    (too_long, "tests/test_a.py", f"\nclass A:\n{METHOD}", "test_a.py:3: long has 81 lines"),
    (ill_named, "tornado_webrtc/web/utils.py", "", "'utils' says nothing"),
    (ill_named, "tests/common/test_a.py", "", "'common' says nothing"),
    (ill_named, "tests/test_helpers.py", "", "'helpers' says nothing"),
    (without_docstring, "tests/test_a.py", "x = 1\n", "the module docstring is missing"),
    (without_docstring, "tornado_webrtc/__init__.py", "", "the module docstring is missing"),
    (unpackaged_plugins, "plugins/a.py", "", "plugins/a.py: a shipped plugin is"),
    (unpackaged_plugins, "plugins/a/b.py", "", "plugins/a: a shipped plugin is"),
]


@pytest.mark.parametrize(("check", "name", "source", "message"), FAULTS)
def test_fault_is_found(tmp_path: Path, check: Check, name: str, source: str, message: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(source)
    (found,) = check(tmp_path)
    assert message in found


def test_names_alone_need_no_tests(tmp_path: Path) -> None:
    path = tmp_path / "tornado_webrtc" / "web" / "__init__.py"
    path.parent.mkdir(parents=True)
    path.write_text('"""Doc."""\nfrom .rest import x\nimport y\n__all__ = ["x"]\n')
    assert list(without_tests(tmp_path)) == []
