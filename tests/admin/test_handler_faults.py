"""What operators are told when a plugin or the disk fails, or when there is nothing to do."""

from tests.admin.conftest import Operate
from tests.conftest import ExpectLog
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Collection


class Games:
    """A plugin with a collection that it cannot count."""

    @hookimpl
    def collections(self) -> dict[str, Collection]:
        games = Collection(count=lambda: 1 // 0, entries=list, get=lambda _: None, holds_drain=True)
        return {"games": games}


async def test_a_drain_is_answered_whatever_plugins_count(
    operate: Operate, expect_log: ExpectLog
) -> None:
    expect_log("the games cannot be counted")
    operated = await operate(plugins=[Games()])
    status, answer = await operated.ask("POST", "/drain", {"seconds": 0})
    assert (status, answer) == (202, {"seconds": 0, "left": {"sessions": 0}})


async def test_an_unban_says_whether_it_is_stored(operate: Operate, expect_log: ExpectLog) -> None:
    expect_log("a restart will lose changes of the bans")
    operated = await operate()
    for peer in ("ann", "ben"):
        await operated.ask("POST", "/bans", {"peer": peer})
    assert await operated.ask("DELETE", "/bans/peer:ann") == (
        200,
        {"ended": "peer:ann", "stored": True},
    )
    kept = operated.server.config.general.state_dir / "bans.json"
    kept.unlink()
    kept.mkdir()
    answer = (await operated.ask("DELETE", "/bans/peer:ben"))[1]
    assert answer == {"ended": "peer:ben", "stored": False}
    kept.rmdir()


class Rooms:
    """A plugin whose one room is there although nobody is in it."""

    @hookimpl
    def collections(self) -> dict[str, Collection]:
        found: dict[str, dict[str, object]] = {"standup": {"id": "standup"}}
        rooms = Collection(
            count=lambda: 0, entries=list, get=found.get, end=lambda _id, _reason: False
        )
        return {"rooms": rooms}


async def test_what_is_there_and_cannot_be_ended(operate: Operate) -> None:
    operated = await operate(plugins=[Rooms()])
    for entry_id, code in (("standup", "nothing-to-end"), ("retro", "not-found")):
        status, answer = await operated.ask("DELETE", f"/rooms/{entry_id}")
        assert (status, answer["error"]["code"]) == (404, code)
        assert answer["error"]["reason"].startswith("There is ")
