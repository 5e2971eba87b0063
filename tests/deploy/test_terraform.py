"""deploy/terraform: formatted, and what it opens and permits is what the guide says.

The provider is fetched from a registry that tests do not reach: its schema is not looked at.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest

from tests.deploy.machine import DEPLOY
from tests.deploy.release import ROOT
from tornado_webrtc.config import Config

FOLDER = DEPLOY / "terraform"
FILES = sorted(FOLDER.glob("*.tf"))
GUIDE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def bare(value: Any) -> Any:
    """What is written, without the quotes that the parser keeps around strings."""
    if isinstance(value, str):
        return value.removeprefix('"').removesuffix('"')
    if isinstance(value, list):
        return [bare(each) for each in value]
    if isinstance(value, dict):
        return {bare(key): bare(each) for key, each in value.items()}
    return value


def parsed() -> dict[str, list[dict[str, Any]]]:
    """All blocks of all files, by their kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in FILES:
        for kind, blocks in bare(hcl2.loads(path.read_text(encoding="utf-8"))).items():
            if isinstance(blocks, list):
                found.setdefault(kind, []).extend(blocks)
    return found


def named(kind: str, family: str) -> dict[str, dict[str, Any]]:
    """Blocks such as `resource` of one type, by their names."""
    return {
        name: content
        for block in parsed()[kind]
        for each, contents in block.items()
        if each == family
        for name, content in contents.items()
    }


def test_there_are_files() -> None:
    assert {"access.tf", "network.tf", "server.tf"} <= {path.name for path in FILES}
    assert {*parsed()} >= {"resource", "data", "variable", "output", "locals", "terraform"}


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_format() -> None:
    command: list[str | Path] = ["terraform", "fmt", "-check", "-diff", FOLDER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def open_ports() -> set[tuple[str, str]]:
    text = (FOLDER / "network.tf").read_text(encoding="utf-8")
    _, _, table = text.partition("open_ports = {")
    found = re.findall(
        r'protocol = "(\w+)",\s+first = ([\w.]+),\s+last = ([\w.]+)', table.partition("\n  }")[0]
    )
    values = {"var.https_port": "443", "var.relay_ports.first": "49152"}
    values["var.relay_ports.last"] = "65535"
    ports = {(kind, values.get(a, a), values.get(b, b)) for kind, a, b in found}
    return {(kind, a if a == b else f"{a}-{b}") for kind, a, b in ports}


def test_ports_are_those_of_the_server_and_of_the_guide() -> None:
    turn = Config().turn
    expected = {("tcp", "80"), ("tcp", "443"), ("tcp", str(turn.port_tcp))}
    expected |= {("udp", str(turn.port)), ("udp", str(turn.relay_ports))}
    assert open_ports() == expected
    section = GUIDE.partition("### Ports")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (TCP|UDP) ([\d-]+) \|", section, re.MULTILINE)
    assert {(kind.lower(), port) for kind, port in rows} == expected
    text = "".join(path.read_text() for path in FILES)
    assert not re.search(r"\b22\b", text), "no SSH"


def test_relay_ports_are_the_servers() -> None:
    (variable,) = [block for block in parsed()["variable"] if "relay_ports" in block]
    relay = Config().turn.relay_ports
    assert variable["relay_ports"]["default"] == {"first": relay.first, "last": relay.last}


def test_bucket_is_private_versioned_and_encrypted() -> None:
    access = named("resource", "aws_s3_bucket_public_access_block")["releases"]
    flags = [value for key, value in access.items() if re.match("block_|ignore_|restrict_", key)]
    assert len(flags) == 4
    assert all(flag in {True, "true"} for flag in flags)
    assert "Enabled" in json.dumps(named("resource", "aws_s3_bucket_versioning"))
    encryption = named("resource", "aws_s3_bucket_server_side_encryption_configuration")
    assert "AES256" in json.dumps(encryption)


def statements(name: str) -> list[dict[str, Any]]:
    found = named("data", "aws_iam_policy_document")[name]["statement"]
    return found if isinstance(found, list) else [found]


def test_machine_is_not_made_anew_by_the_way() -> None:
    """What AWS changes around it, and what a stopped machine does not show, is no reason."""
    server = named("resource", "aws_instance")["server"]
    (lifecycle,) = server["lifecycle"]
    assert lifecycle["prevent_destroy"] in {True, "true"}
    ignored = {re.sub(r"\W", "", each) for each in lifecycle["ignore_changes"]}
    assert ignored == {"ami", "associate_public_ip_address", "subnet_id", "user_data"}
    assert "`prevent_destroy`" in GUIDE


def test_machine_reaches_the_agents_package_before_it_has_its_fixed_address() -> None:
    server = named("resource", "aws_instance")["server"]
    assert server["associate_public_ip_address"] in {True, "true"}
    assert 'until python3 -c "$fetch"; do sleep' in server["user_data"]
    script = server["user_data"].partition("\n")[2].rpartition("END")[0]
    done = subprocess.run(
        ["/bin/sh", "-n"], input=script, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("busy", [0, 3])
def test_agent_is_installed_when_the_lock_is_free(tmp_path: Path, busy: int) -> None:
    """The first boot's upgrades hold it for a while."""
    server = named("resource", "aws_instance")["server"]
    script = server["user_data"].partition("\n")[2].rpartition("END")[0]
    (tmp_path / "dpkg").write_text(
        f'echo "dpkg $*" >>calls\n[ "$(grep -c dpkg calls)" -gt {busy} ]\n'
    )
    for name in ("python3", "sleep", "systemctl"):
        (tmp_path / name).write_text(f'echo "{name}" >>calls\n')
    stand_ins = "".join(
        f'{name}() {{ sh {tmp_path}/{name} "$@"; }}\n'
        for name in ("python3", "sleep", "systemctl", "dpkg")
    )
    script = script.replace('"$(mktemp -d)"', str(tmp_path)).replace("${var.region}", "region")
    subprocess.run(["/bin/sh", "-c", stand_ins + script], check=True)
    expected = ["python3", *(["dpkg -i a.deb", "sleep"] * busy), "dpkg -i a.deb", "systemctl"]
    assert (tmp_path / "calls").read_text().splitlines() == expected


def test_credentials_of_the_machine_want_a_token() -> None:
    (options,) = named("resource", "aws_instance")["server"]["metadata_options"]
    assert options["http_tokens"] == "required"
    assert options["http_put_response_hop_limit"] == 1


def test_provider_is_one_that_knows_all_of_it() -> None:
    """aws_iam_openid_connect_provider wanted a thumbprint_list before 5.82."""
    text = (FOLDER / "versions.tf").read_text(encoding="utf-8")
    found = re.search(r'version = ">= (\d+)\.(\d+), < (\d+)\.0"', text)
    assert found
    lowest, highest = (int(found[1]), int(found[2])), int(found[3])
    assert "thumbprint_list" not in (FOLDER / "access.tf").read_text(encoding="utf-8")
    assert lowest >= (5, 82)
    assert highest == lowest[0] + 2


def test_rights_are_the_fewest() -> None:
    actions = {
        name: {action for each in statements(name) for action in each["actions"]}
        for name in named("data", "aws_iam_policy_document")
    }
    assert actions == {
        "machine": {"sts:AssumeRole"},
        "read_releases": {"s3:GetObject"},
        "workflow": {"sts:AssumeRoleWithWebIdentity"},
        "deploy": {"s3:PutObject", "ssm:SendCommand", "ssm:GetCommandInvocation"},
    }
    for name in ("read_releases", "deploy"):
        for each in statements(name):
            anything = each["resources"] == ["*"]
            assert anything == (each["actions"] == ["ssm:GetCommandInvocation"]), each


def test_policy_of_aws_is_wider_than_its_name_says() -> None:
    (attached,) = named("resource", "aws_iam_role_policy_attachment").values()
    assert attached["policy_arn"].endswith("/AmazonSSMManagedInstanceCore")
    assert "`AmazonSSMManagedInstanceCore`, also lets it read every parameter" in GUIDE
    text = (FOLDER / "access.tf").read_text(encoding="utf-8")
    assert "read every parameter of Parameter Store" in text


def test_only_a_job_of_the_environment_gets_the_role() -> None:
    (statement,) = statements("workflow")
    conditions = {each["variable"]: each for each in statement["condition"]}
    subject = conditions["${local.issuer}:sub"]
    assert subject["test"] == "StringEquals"
    assert subject["values"] == ["repo:${var.repository}:environment:${var.environment}"]
    assert conditions["${local.issuer}:aud"]["values"] == ["sts.amazonaws.com"]


def test_environments_are_those_of_the_workflow() -> None:
    workflow = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"options: \[(.*)\]", workflow)
    text = (FOLDER / "variables.tf").read_text(encoding="utf-8")
    (allowed,) = re.findall(r"contains\(\[(.*)\], var.environment\)", text)
    assert listed.split(", ") == allowed.replace('"', "").split(", ")


def test_guide_names_variables_that_exist() -> None:
    variables = {name for block in parsed()["variable"] for name in block}
    used = set(re.findall(r"-var (\w+)", GUIDE))
    required = {
        name
        for block in parsed()["variable"]
        for name, content in block.items()
        if "default" not in content
    }
    assert required <= used <= variables
    outputs = {name for block in parsed()["output"] for name in block}
    assert set(re.findall(r"`terraform output (\w+)`", GUIDE)) <= outputs


def test_workflow_is_given_what_terraform_puts_out() -> None:
    text = (FOLDER / "outputs.tf").read_text(encoding="utf-8")
    put_out = set(re.findall(r"(DEPLOY_\w+) +=", text))
    workflow = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
    assert put_out == set(re.findall(r"vars\.(\w+)", workflow))
    assert put_out == set(re.findall(r"^\| `(DEPLOY_\w+)` \|", GUIDE, re.MULTILINE))
