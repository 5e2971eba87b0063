"""The witnesses themselves: they notice what they have to notice."""

import signal

import pytest

from tests.hostile.bystander import undisturbed
from tests.hostile.conftest import OpenSite
from tests.hostile.site import Site, until


async def test_nothing_happens(site: Site) -> None:
    async with undisturbed(site) as people:
        await until(lambda: people[0].received > 2, "candidates arrive")


async def test_message_from_a_stranger_is_noticed(site: Site) -> None:
    async def disturb() -> None:
        async with undisturbed(site) as people, await site.connect() as stranger:
            await stranger.register("stranger")
            await stranger.send("candidate", {"to": people[0].id, "session_id": "s", "x": "evil"})
            await until(lambda: bool(people[0].complaints), "the message is noticed")

    with pytest.raises(AssertionError, match=r"expected .*, got .*'x': 'evil'"):
        await disturb()


async def test_end_of_a_call_is_noticed(site: Site) -> None:
    async def disturb() -> None:
        async with undisturbed(site) as people:
            await people[0].hang_up()
            await until(lambda: bool(people[1].complaints), "the end is noticed")

    with pytest.raises(AssertionError, match=r"'type': 'bye'"):
        await disturb()


async def test_end_of_the_server_is_noticed(open_site: OpenSite) -> None:
    site = open_site()

    async def disturb() -> None:
        async with undisturbed(site) as people:
            site.process.send_signal(signal.SIGTERM)
            await until(lambda: site.process.poll() is not None, "the server ends")
            await until(lambda: all(person.complaints for person in people), "it is noticed")

    with pytest.raises(AssertionError, match=r"expected .*'type': 'bye'"):
        await disturb()


COMPLAINTS = [
    ("2026-01-01 00:00:00,000 ERROR   broken", r"in the log: .*ERROR"),
    ("2026-01-01 00:00:00,000 WARNING broken", r"in the log: .*WARNING"),
    ("Traceback (most recent call last):", r"in the log: Traceback"),
    ("2026-01-01 00:00:00,000 INFO    v=0 o=-", r"private text in the log: v=0"),
    ("2026-01-01 00:00:00,000 INFO    \x1b[31mred", r"not printable in the log"),
]


@pytest.mark.parametrize(("line", "complaint"), COMPLAINTS, ids=range(len(COMPLAINTS)))
async def test_line_in_the_log_is_noticed(open_site: OpenSite, line: str, complaint: str) -> None:
    site = open_site()

    async def disturb() -> None:
        async with undisturbed(site):
            with site.log_path.open("a") as log:
                log.write(f"{line}\n")

    with pytest.raises(AssertionError, match=complaint):
        await disturb()
    site.log_path.write_text("")
    assert site.complaints() == []
