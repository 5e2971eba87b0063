"""Rules: what each condition means, and what is no rule."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.plugins.routing_rules import rule as module
from tornado_webrtc.plugins.routing_rules.rule import BadRuleError, Party, Rule

ALICE = Party("alice-phone", "", "alice@example.org", "192.0.2.7")
SUPPORT = Party("support-1", "desk", None, "2001:db8::1")


def fits(line: str, caller: Party = ALICE, callee: Party = SUPPORT) -> bool:
    return Rule.parse(line, "here").fits(caller, callee)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("*", True),
        ("alice-phone", True),
        ("alice-*", True),
        ("alice-phon?", True),
        ("[a-c]lice-*", True),
        ("id:alice-*", True),
        ("Alice-*", False),
        ("alice", False),
        ("alice-phone?", False),
        ("user:alice@example.org", True),
        ("user:alice@*", True),
        ("user:*", True),
        ("user:bob@*", False),
        ("user:alice-phone", False),
        ("room:", True),
        ("scope:", True),
        ("room:*", True),
        ("room:desk", False),
        ("ip:192.0.2.0/24", True),
        ("ip:192.0.2.7", True),
        ("ip:192.0.2.8", False),
        ("ip:2001:db8::/32", False),
        ("alice-* user:alice@* room: ip:192.0.2.7", True),
        ("alice-* user:bob@*", False),
        ("bob-* user:alice@*", False),
    ],
)
def test_condition(condition: str, holds: bool) -> None:
    assert fits(f"allow {condition} -> *") is holds
    assert fits(f"deny * -> {condition}", SUPPORT, ALICE) is holds
    assert not fits(f"allow {condition} -> nobody")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("user:*", False),
        ("room:desk", True),
        ("room:d*", True),
        ("room:", False),
        ("ip:2001:db8::/32", True),
        ("ip:0.0.0.0/0", False),
    ],
)
def test_condition_on_a_stranger_in_a_room(condition: str, holds: bool) -> None:
    assert fits(f"allow * -> {condition}") is holds


def test_address_of_ipv4_in_ipv6() -> None:
    assert fits("allow ip:192.0.2.0/24 -> *", Party("a", ip="::ffff:192.0.2.7"))


@pytest.mark.parametrize("network", ["::ffff:192.0.2.7", "::ffff:192.0.2.0/120", "::ffff:0:0/96"])
def test_network_of_ipv4_in_ipv6(network: str) -> None:
    """It would never fit otherwise: a rule that denies it would deny nobody."""
    for ip in ("192.0.2.7", "::ffff:192.0.2.7"):
        assert fits(f"deny ip:{network} -> *", Party("a", ip=ip))
    assert not fits(f"deny ip:{network} -> *", Party("a", ip="2001:db8::1"))


def test_all_of_ipv6_is_no_ipv4() -> None:
    assert not fits("deny ip:::/0 -> *", Party("a", ip="192.0.2.7"))
    assert fits("deny ip:::/0 -> *", Party("a", ip="2001:db8::1"))


def test_patterns_are_compiled_once() -> None:
    """Thousands of them would hold up the event loop when the settings are taken over."""
    line = "deny *-seldom-? user:*@seldom.example -> room:[s]eldom"
    Rule.parse(line, "")
    before = module._compiled.cache_info()
    assert Rule.parse(line, "").fits(
        Party("a-seldom-b", user="a@seldom.example"), Party("", "seldom")
    )
    after = module._compiled.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 3)


@pytest.mark.parametrize("ip", ["", "somewhere"])
def test_address_that_is_not_known(ip: str) -> None:
    assert not fits("allow ip:0.0.0.0/0 -> *", Party("a", ip=ip))


@pytest.mark.parametrize("peer_id", ["a\nb", "a b", "user:x", "*", "#1", ""])
def test_any_id(peer_id: str) -> None:
    assert fits("allow * -> *", Party(peer_id))
    assert not fits("allow b* -> *", Party(peer_id))


def test_id_that_looks_like_something_else() -> None:
    assert fits("allow id:user:x -> *", Party("user:x"))
    assert fits("allow id:#1 -> *", Party("#1"))
    assert fits("allow id:[*] -> *", Party("*"))
    assert fits("allow a?b -> *", Party("a b"))


def test_spelling_of_rooms() -> None:
    assert fits("allow room:cafe\u0301 -> *", Party("a", "caf\u00e9"))


@pytest.mark.parametrize(
    ("line", "allows", "text"),
    [
        ("allow * -> *", True, "allow * -> *"),
        ("  deny\ta  ->\tb # because", False, "deny a -> b"),
        ("deny a -> b #because of # this -> that", False, "deny a -> b"),
    ],
)
def test_rule(line: str, allows: bool, text: str) -> None:
    rule = Rule.parse(line, "line 3")
    assert (rule.allows, rule.text, rule.place) == (allows, text, "line 3")


@pytest.mark.parametrize(
    ("line", "fits_all"),
    [("deny * -> *", True), ("deny * room:* -> *", True), ("deny user:* -> *", False)],
)
def test_fits_all(line: str, fits_all: bool) -> None:
    assert Rule.parse(line, "").fits_all is fits_all


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("", "it begins with '', but has to be allow|deny CALLER -> CALLEE"),
        ("permit a -> b", "it begins with 'permit'"),
        ("Allow a -> b", "it begins with 'Allow'"),
        ("# allow a -> b", "it begins with ''"),
        ("allow a b", "one ->, with spaces around it, is needed"),
        ("allow a->b", "one ->, with spaces around it, is needed"),
        ("allow a -> b -> c", "one ->, with spaces around it, is needed"),
        ("allow -> b", "the caller is missing; * fits everybody"),
        ("allow a ->", "the callee is missing; * fits everybody"),
        ("allow a -> # b", "the callee is missing"),
        ("allow a b -> c", "the caller has more than one condition on the id; write ? for a space"),
        ("allow a -> room:x scope:y", "the callee has more than one condition on the room"),
        ("allow usr:a -> b", "usr: is not known; known are id:, user:, room:, ip:; say id:usr:a"),
        ("allow user: -> b", "user: has nothing behind it"),
        ("allow id: -> b", "id: has nothing behind it"),
        ("allow ip: -> b", "ip: has nothing behind it"),
        ("allow ip:10.0.0.1/8 -> b", "ip: needs an address or a network: 10.0.0.1/8 has host bits"),
        ("allow ip:localhost -> b", "ip: needs an address or a network: 'localhost' does not"),
    ],
)
def test_no_rule(line: str, fault: str) -> None:
    with pytest.raises(BadRuleError) as raised:
        Rule.parse(line, "here")
    assert str(raised.value).startswith(fault)


@given(st.text(max_size=60))
def test_any_line_is_a_rule_or_a_fault(text: str) -> None:
    for line in (text, f"allow {text} -> *", f"deny * -> {text}"):
        try:
            rule = Rule.parse(line, "here")
        except BadRuleError:
            continue
        again = Rule.parse(rule.text, "here")
        assert (again.text, again.allows) == (rule.text, rule.allows)
        for caller, callee in itertools.product((ALICE, SUPPORT), repeat=2):
            assert again.fits(caller, callee) is rule.fits(caller, callee)
        assert not rule.fits_all or rule.fits(ALICE, SUPPORT)
