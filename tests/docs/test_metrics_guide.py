"""docs/metrics.md and its examples name the metrics that there are, and no others.

The table below the line ``<!-- metrics -->`` is made from the plugin's own; `make docs`,
which runs this file, writes it.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.plugins.metrics.site import OPENMETRICS, TEXT, Scraped, get, parsed, port_of, scrape
from tests.plugins.webhook.receiver import SECRET
from tests.quietport import quiet_port
from tests.reloading import ReloadSite, site
from tornado_webrtc.certificate import write_certificate
from tornado_webrtc.plugins.metrics import SETTINGS
from tornado_webrtc.plugins.metrics.endpoint import MAX_CONNECTIONS
from tornado_webrtc.plugins.metrics.metric import METRICS, PREFIX, Metric
from tornado_webrtc.plugins.metrics.page import FORMATS
from tornado_webrtc.plugins.metrics.rule import MAX_VALUES
from tornado_webrtc.web.stall import STALL_S

__all__ = ["site"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "metrics.md"
GUIDE = PAGE.read_text(encoding="utf-8")
FLAT = " ".join(GUIDE.split())
EXAMPLES = DOCS / "examples"
MARKER = re.compile(r"^<!-- metrics -->\n\n(?:\|.*\n)*", re.MULTILINE)
HEADING = "| metric | | labels | |\n|---|---|---|---|\n"
ROW = re.compile(r"^\| `(tornado_webrtc_\w+)` \| (\w+) \| (.*?) \| (.+) \|$", re.MULTILINE)
NAMES = re.compile(r"(?:tornado_webrtc|process)_[a-z_]+\b")


def row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.exposed}` | {metric.kind} | {labels} | {metric.help} |\n"


def updated(text: str) -> str:
    """The page with its table as it has to be now."""
    table = HEADING + "".join(map(row, METRICS.values()))
    return MARKER.sub(lambda _: f"<!-- metrics -->\n\n{table}", text)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def settings(block: str) -> dict[str, str]:
    """A configuration of the page, by ``section.key``."""
    pairs = re.findall(r"^(\w+) = (.*)$", block, re.MULTILINE)
    return {f"metrics.{key}": value for key, value in pairs}


def make_token(folder: Path) -> None:
    """As the page makes it."""
    (script,) = (block for block in blocks("sh") if block.startswith("openssl"))
    command = ["sh", "-ec", script]
    subprocess.run(command, cwd=folder, check=True)


async def everything(site: ReloadSite) -> Scraped:
    """The metrics of a server that has all that they tell of."""
    cert, key = site.folder / "cert.pem", site.folder / "key.pem"
    write_certificate(cert, key, ["localhost"])
    (site.folder / "mine").mkdir()
    (code,) = blocks("python")
    (site.folder / "mine" / "chess.py").write_text(code)
    server = await site.start(
        {
            "metrics.port": "0",
            "general.cert": str(cert),
            "general.key": str(key),
            "plugins.path": str(site.folder / "mine"),
            "webhook.url": "http://127.0.0.1:9/",
            "webhook.secret": SECRET,
            "webhook.events": "peer.joined",
        }
    )
    client = await site.turn.udp()
    client.wire.send(b"\0\x01\0\0\x21\x12\xa4\x42" + b"?")  # shorter than a STUN header
    client.wire.send(b"\0\x7f\0\0\x21\x12\xa4\x42" + 12 * b"?")
    await client.allocate()
    return await scrape(server)


def test_the_table_is_up_to_date() -> None:
    assert updated(GUIDE) == GUIDE, "run: make docs"
    assert len(ROW.findall(GUIDE)) == len(METRICS)


async def test_what_is_documented_is_exposed_and_the_reverse(site: ReloadSite) -> None:
    found = await everything(site)
    documented = {name: (kind, labels, text) for name, kind, labels, text in ROW.findall(GUIDE)}
    exposed = {}
    for name, family in found.families.items():
        if name.startswith(PREFIX):
            names = {each for sample in family.samples for each in sample.labels} - {"le"}
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            exposed[name + suffix] = family.type, names, family.documentation
    assert exposed.keys() == documented.keys()
    for name, (kind, labels, text) in documented.items():
        wanted = set(re.findall(r"`(\w+)`", labels)) or (
            {"version", "node_id"} if kind == "info" else set()
        )
        assert exposed[name] == (kind, wanted, text)


async def test_figures_of_a_plugin(site: ReloadSite) -> None:
    found = await everything(site)
    (shown,) = re.findall(r"```\n(tornado_webrtc_events.*?)```", GUIDE, re.DOTALL)
    expected = {
        (family.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parsed(shown, TEXT).families.values()
        for sample in family.samples
    }
    assert len(expected) == 2
    for (name, labels), value in expected.items():
        sample = name.removeprefix(PREFIX)
        sample = sample if sample == "values" else "events_total"
        assert found.value(sample, **dict(labels)) == value


# --- configurations and commands ----------------------------------------------------------------


async def test_the_first_configuration_works(site: ReloadSite) -> None:
    first, _ = map(settings, blocks("ini"))
    (command,) = (line for block in blocks("sh") for line in block.splitlines() if "curl" in line)
    assert f":{first['metrics.port']}/metrics" in command
    assert f"port = port(default={first['metrics.port']})" in SETTINGS
    port = quiet_port()
    server = await site.start(first | {"metrics.port": str(port)})
    assert port_of(server) == port
    assert (await get(server)).status == 200


async def test_the_second_configuration_asks_for_the_token(site: ReloadSite) -> None:
    make_token(site.folder)
    token = (site.folder / "metrics-token").read_text().strip()
    _, second = map(settings, blocks("ini"))
    bind = second["metrics.bind"].replace("10.0.0.5", "127.0.0.2")
    server = await site.start(second | {"metrics.port": "0", "metrics.bind": bind})
    authorization = {"Authorization": f"Bearer {token}"}
    assert (await get(server, authorization)).status == 200


async def test_sizes(site: ReloadSite) -> None:
    found = await everything(site)
    assert found.families
    answer = await get(site.server, {"Accept": OPENMETRICS})
    assert 15_000 < len(answer.body) < 25_000, "about 20 kB"
    packed = await get(site.server, {"Accept": OPENMETRICS, "Accept-Encoding": "gzip"})
    assert 2_500 < len(packed.body) < 4_500, "about 3 kB"


def test_numbers() -> None:
    for sentence in (
        f"There are {MAX_CONNECTIONS} connections at most",
        f"takes nothing of an answer for {STALL_S:g} s",
        f"the first {MAX_VALUES} codes",
        "text in version 0.0.4 or 1.0.0, or OpenMetrics 1.0.0",
    ):
        assert sentence in FLAT, sentence
    assert [*FORMATS.values()] == [("", "0.0.4", "1.0.0"), ("", "1.0.0")]


# --- examples -----------------------------------------------------------------------------------


def example(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))


def expressions() -> list[str]:
    """Every query of the examples and of the page."""
    rules = [rule for group in example("alerts.yml")["groups"] for rule in group["rules"]]
    queries = re.findall(r"^\| [^|]+ \| `(.+)` \|$", GUIDE.partition("## Queries")[2], re.MULTILINE)
    return [*(rule["expr"] for rule in rules), *queries]


def test_prometheus_reads_the_port_that_it_listens_on() -> None:
    config = example("prometheus.yml")
    (job,) = config["scrape_configs"]
    (default,) = re.findall(r"port = port\(default=(\d+)\)", SETTINGS)
    assert job["static_configs"] == [{"targets": [f"127.0.0.1:{default}"]}]
    assert [(EXAMPLES / name).is_file() for name in config["rule_files"]] == [True]
    assert f'job="{job["job_name"]}"' in (EXAMPLES / "alerts.yml").read_text(encoding="utf-8")


def test_alerts_are_whole() -> None:
    rules = [rule for group in example("alerts.yml")["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert {"alert", "expr", "annotations"} <= rule.keys() <= {"for", *rule.keys()}
        assert rule["annotations"].keys() == {"summary"}
        for opening, closing in ("()", "{}", "[]"):
            assert rule["expr"].count(opening) == rule["expr"].count(closing)


async def test_queries_name_what_is_exposed(site: ReloadSite) -> None:
    found = await everything(site)
    samples = [sample for family in found.families.values() for sample in family.samples]
    for expression in expressions():
        verify(expression, samples)


def verify(expression: str, samples: list[Any]) -> None:
    """Let every metric, label and value that a query names be there."""
    names = set(NAMES.findall(expression))
    assert names or expression.startswith("up{")
    assert names <= {sample.name for sample in samples}
    for name, matchers in re.findall(r"((?:tornado_webrtc|process)_\w+)\{([^}]*)\}", expression):
        for label, operator, wanted in re.findall(r'(\w+)(=~?)"([^"]*)"', matchers):
            if label == "job":
                continue
            values = {sample.labels.get(label) for sample in samples if sample.name == name}
            assert set(wanted.split("|") if operator == "=~" else [wanted]) <= values


if __name__ == "__main__":
    if (after := updated(GUIDE)) != GUIDE:
        PAGE.write_text(after, encoding="utf-8")
