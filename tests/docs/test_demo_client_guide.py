"""What the guide of the demo client says is true: parameters, keys, storage, replacing it."""

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tornado_webrtc.cli import main
from tornado_webrtc.config import load

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "demo-client.md").read_text(encoding="utf-8")
SCRIPTS = ROOT / "www" / "js"


def chapter(title: str) -> str:
    _, found, rest = GUIDE.partition(f"\n## {title}\n")
    assert found, title
    return rest.partition("\n## ")[0]


def first_cells(text: str) -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def script(name: str) -> str:
    return (SCRIPTS / f"{name}.js").read_text(encoding="utf-8")


def test_parameters_of_the_address() -> None:
    reads = r"#(?:initial|query\.get)\(\"(\w+)\"\)"
    assert first_cells(chapter("The address")) == set(re.findall(reads, script("settings")))
    assert '.get("token")' in script("settings")


def test_keys() -> None:
    keys = re.search(r"const target = \{(.*?)\}", script("callview"))
    assert keys
    shown = first_cells(chapter("What it does"))
    assert shown == {key.upper() for key in re.findall(r"(\w): ", keys[1])} | {"Esc"}
    page = (ROOT / "www" / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r"<kbd>(\w+)</kbd>", page)) == shown


def test_what_is_kept_for_good_is_no_secret() -> None:
    source = script("settings")
    kept = set(re.findall(r"#lasting\.write\(\"([\w-]+)\"", source))
    devices = {"camera", "microphone", "speaker"}
    assert kept == {"name", "server", "room", "relay", "transport", "ring", *devices}
    tab = set(re.findall(r"#tab\.write\(\"([\w-]+)\"", source))
    assert tab == {"id", "name", "signed-in", "token", "password"}


def test_seconds_between_attempts() -> None:
    source = script("signaling")
    assert "FIRST_DELAY_S = 1;" in source
    assert "LONGEST_DELAY_S = 30;" in source
    assert "after 1, 2, 4 … 30 s" in GUIDE


@pytest.mark.parametrize("name", re.findall(r"`js/(\w+)\.js`", GUIDE))
def test_modules_exist(name: str) -> None:
    assert script(name)


def test_modules_that_know_nothing_of_the_page() -> None:
    named = re.findall(r"`js/(\w+)\.js` \(", chapter("Your own page instead"))
    assert named == ["signaling", "phone", "call", "ice"]
    for name in named:
        assert "document." not in script(name)


def test_nothing_comes_from_elsewhere() -> None:
    for path in (ROOT / "www").rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"""(?:src=|href=|url\(|from |import\()["']?https?:[^"' )]+""", text)
        assert found == [], path.name


def test_replacing_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"```sh\n(.*?)```\n\n```ini\n(.*?)```", GUIDE, re.DOTALL)
    assert block
    copy, init = block[1].splitlines()
    monkeypatch.chdir(tmp_path)
    assert copy == "cp -r www my-page"
    shutil.copytree(ROOT / "www", tmp_path / "my-page")
    made = CliRunner().invoke(main, init.split()[1:])
    assert made.exit_code == 0, made.output
    config = tmp_path / "my-server" / "server.ini"
    text = config.read_text(encoding="utf-8")
    section, line = block[2].splitlines()
    config.write_text(text.replace(f"\n{section}\n", f"\n{section}\n{line}\n", 1), encoding="utf-8")
    assert load(config).general.html_root.resolve() == (tmp_path / "my-page").resolve()


def test_images_are_there_and_small() -> None:
    shown = set(re.findall(r"!\[[^]]+\]\(images/([\w-]+\.png)\)", GUIDE))
    assert shown
    for name in shown:
        assert (ROOT / "docs" / "images" / name).stat().st_size < 200_000
