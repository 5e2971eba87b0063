"""A deployment and those who talk: what docs/deployment.md promises them."""

import asyncio
import json

import pytest

from tests.deploy.conftest import Good
from tests.deploy.machine import Machine
from tests.plugins.turn.client import TurnClient, UdpWire
from tests.wire import WireClient, call, until
from tornado_webrtc.stun.address import TransportAddress

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy-refusal")]

DRAINING = 1012
AT_THE_END = 1001


@pytest.fixture
def serving(machine: Machine, good: Good) -> Machine:
    """A machine whose server waits a minute for calls to end."""
    text = machine.conf.read_text().replace("[general]\n", "[general]\ndrain_s = 60\n")
    machine.conf.write_text(text)
    machine.deploy("--local", good("1.0.0"))
    return machine


async def relay(machine: Machine) -> TurnClient:
    said = await asyncio.to_thread(
        machine.run,
        machine.root / "current" / "bin" / "tornado-webrtc",
        *("credentials", "--json", "alice", "--conf", machine.conf),
    )
    server = next(each for each in json.loads(said)["iceServers"] if "username" in each)
    wire = UdpWire("127.0.0.1", TransportAddress("127.0.0.1", machine.turn_udp))
    return TurnClient(wire, server["username"], server["credential"])


async def test_calls_end_in_their_own_time(serving: Machine, good: Good) -> None:
    new = good("1.1.0")
    client = await relay(serving)
    await client.allocate()
    async with (
        await WireClient.connect(serving.port) as alice,
        await WireClient.connect(serving.port) as bob,
    ):
        await alice.register("alice")
        await bob.register("bob")
        session = await call(alice, bob)
        deployment = asyncio.create_task(asyncio.to_thread(serving.deploy, "--local", new))
        await until_drains(serving)

        # Whoever is there goes on: signaling, and what is relayed.
        await alice.send("candidate", {"to": "bob", "session_id": session, "candidate": {}})
        await bob.read_type("candidate")
        assert await client.refresh(600) == 0
        # Whoever comes is told to come again.
        async with await WireClient.connect(serving.port) as late:
            assert (await late.read_until_closed()).code == DRAINING
        assert not deployment.done()

        await alice.send("bye", {"session_id": session})
        assert await client.refresh(0) == 0
        client.wire.close()
        assert (await bob.read_until_closed()).code == AT_THE_END
    assert "serves" in await deployment
    assert await asyncio.to_thread(serving.serving) == "1.1.0"
    async with await WireClient.connect(serving.port) as back:
        await back.register("alice")


async def until_drains(machine: Machine) -> None:
    await until(lambda: "draining, at most 60 s" in machine.log())


async def test_calls_that_go_on_are_ended(serving: Machine, good: Good) -> None:
    text = serving.conf.read_text().replace("drain_s = 60", "drain_s = 1")
    serving.conf.write_text(text)
    program = serving.root / "current" / "bin" / "tornado-webrtc"
    await asyncio.to_thread(serving.run, program, "reload", "--conf", serving.conf)
    async with (
        await WireClient.connect(serving.port) as alice,
        await WireClient.connect(serving.port) as bob,
    ):
        await alice.register("alice")
        await bob.register("bob")
        await call(alice, bob)
        deployment = asyncio.create_task(
            asyncio.to_thread(serving.deploy, "--local", good("1.1.0"))
        )
        for client in (alice, bob):
            await client.read_type("bye")
            assert (await client.read_until_closed()).code == AT_THE_END
    assert "serves" in await deployment


async def test_refused_release_disturbs_nobody(serving: Machine, good: Good) -> None:
    async with (
        await WireClient.connect(serving.port) as alice,
        await WireClient.connect(serving.port) as bob,
    ):
        await alice.register("alice")
        await bob.register("bob")
        session = await call(alice, bob)
        with serving.conf.open("a") as conf:
            conf.write("nonsense = 1\n")
        new = good("1.1.0")
        said = await asyncio.to_thread(serving.deploy, "--local", new, status=1)
        assert "the configuration is not right" in said
        await alice.send("candidate", {"to": "bob", "session_id": session, "candidate": {}})
        await bob.read_type("candidate")
