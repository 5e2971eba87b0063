"""The file, the machine it is for, the certificate, the domain."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace

from tornado_webrtc.certificate import machine_names
from tornado_webrtc.chain import key_findings, read_file
from tornado_webrtc.config import Config
from tornado_webrtc.doctor.case import Case, ok, problem, warning
from tornado_webrtc.doctor.target import own_target
from tornado_webrtc.errors import CertificateError, ConfigError, PluginError, Problem
from tornado_webrtc.finding import Finding, Level, worst
from tornado_webrtc.inspection import check_surroundings, doubts
from tornado_webrtc.pluginmanager import PluginManager
from tornado_webrtc.server import load

__all__ = ["certificate", "configuration", "domain"]

SUBJECT = "configuration"


async def configuration(case: Case) -> AsyncIterator[Finding]:
    """What `check` says; leaves the configuration and where its server listens."""
    try:
        config, found = load(case.conf)
        case.config = config
        case.target = case.target or own_target(config.general)
        plugins = PluginManager(found, config, config.plugins.required, serves=False)
        plugins.load()
        case.plugins = plugins
        doubtful = await check_surroundings(config, plugins)
    except ConfigError as error:
        for each in error.problems:
            yield _problem(each)
        return
    except PluginError as error:
        yield problem(SUBJECT, str(error), "the plugin is required: repair it, or do without it")
        return
    for each in (*config.warnings, *doubts(config, plugins.hooks), *doubtful):
        yield warning(
            SUBJECT, f"{each.where}: {each.message}", each.hint or "see docs/configuration.md"
        )
    for name, reason in plugins.left_out.items():
        yield warning("plugins", f"{name} is left out: {reason}", "repair it, or disable it")
    yield ok(SUBJECT, f"{config.path or 'defaults and environment'} can be served")
    yield ok("plugins", ", ".join(plugins.names) or "none")


def _problem(found: Problem) -> Finding:
    hint = found.hint or "the server does not start like this"
    return problem(SUBJECT, f"{found.where}: {found.message}", hint)


async def certificate(case: Case) -> AsyncIterator[Finding]:
    """The configured certificate, as `cert inspect` sees it."""
    if case.config is None or case.config.general.cert is None:
        return
    general, file = case.config.general, case.config.general.cert
    try:
        chain = await asyncio.to_thread(read_file, file)
    except CertificateError as error:
        yield problem("certificate", str(error), "see [general] cert")
        return
    found = [*chain.findings(general.domain), *key_findings(chain, general.key)]
    for finding in found:
        if finding.level is not Level.OK:
            text = f"{finding.subject}: {finding.text}"
            yield replace(finding, subject="certificate", text=text, values={})
    if worst(found) is not Level.PROBLEM:
        text = f"{chain.key_type}, {found[0].text}, for {', '.join(chain.names)}"
        yield ok("certificate", text, days_left=chain.days_left)


async def domain(case: Case) -> AsyncIterator[Finding]:
    """Whether the configured name leads here."""
    if case.config is None or not case.config.general.domain:
        return
    name = case.config.general.domain
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None)
    except (OSError, UnicodeError):
        hint = "add A and AAAA records for it; a new one can take a while to be seen"
        yield problem("domain", f"{name} cannot be looked up", hint)
        return
    addresses = list(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found))
    yield domain_finding(name, addresses, {*machine_names(), *_public(case.config)})


def domain_finding(name: str, addresses: Iterable[str], here: Iterable[str]) -> Finding:
    """Judge the addresses of the domain.

    Args:
        name: The domain.
        addresses: What it stands for.
        here: The addresses of this machine, also those that only others see.
    """
    shown = ", ".join(addresses)
    known = set(here)
    elsewhere = [each for each in addresses if each not in known]
    if not elsewhere:
        return ok("domain", f"{name} is {shown}", addresses=list(addresses))
    return warning(
        "domain",
        f"{name} is {shown}; {', '.join(elsewhere)} is no address of this machine",
        "right behind a NAT or proxy; otherwise correct the DNS records."
        " [turn] public_ip names addresses that only others see",
        addresses=list(addresses),
    )


def _public(config: Config) -> Iterator[str]:
    for entry in config.turn.public_ip:
        if not isinstance(entry.public, str):
            yield str(ipaddress.ip_address(entry.public))
