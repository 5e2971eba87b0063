"""Which STUN and TURN servers the page asks for, and which of them it takes."""

from typing import Any

import pytest

from tests.browser.conftest import Run


@pytest.mark.parametrize(
    ("entry", "usable"),
    [
        ({"urls": "stun:a.example"}, True),
        ({"urls": ["turn:a.example?transport=tcp"], "username": "u", "credential": "c"}, True),
        ({"urls": ["turn:a.example"], "username": "u"}, False),
        ({"urls": ["stun:a.example", "turn:b.example"], "username": "u"}, False),
        ({"urls": ["stun:a.example:99999"]}, False),
        ({"urls": ["turn:a.example?transport=pigeon"], "username": "u", "credential": "c"}, False),
        ({"urls": ["stun:a b"]}, False),
        ({"urls": []}, False),
        ({"urls": [5]}, False),
        ({}, False),
        (None, False),
    ],
)
def test_an_ice_server_that_the_browser_does_not_take_is_left_out(
    run: Run, entry: Any, usable: bool
) -> None:
    assert run("ice", "({ isUsable }, entry) => isUsable(entry)", entry) is usable


def test_turn_servers_are_asked_for_once_at_a_time_and_anew_when_forgotten(run: Run) -> None:
    script = """async ({ IceServers }) => {
      const answers = [];
      const real = window.fetch;
      window.fetch = () => new Promise((resolve) => answers.push(resolve));
      const answer = (number, port) => {
        const iceServers = [{ urls: `stun:127.0.0.1:${port}` }];
        answers[number](Response.json({ ttl: 60, iceServers }));
      };
      try {
        const turnUrl = "https://calls.example/api/turn";
        const ice = new IceServers({ turnUrl, id: "3", token: "" });
        const asked = [ice.get(), ice.get()];
        ice.forget();
        asked.push(ice.get(), ice.get());
        if (answers.length !== 2) return answers.length;
        answer(1, 2);
        await asked[2];
        answer(0, 1); // the older one, as it happens
        asked.push((await asked[0]) && ice.get());
        const urls = (await Promise.all(asked)).map(([{ urls }]) => urls.at(-1));
        return [urls, answers.length];
      } finally {
        window.fetch = real;
      }
    }"""
    assert run("ice", script) == [["1", "1", "2", "2", "2"], 2]
