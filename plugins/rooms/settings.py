"""The section `[rooms]`, and the file that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tornado_webrtc.hooks import Doubt, at_key

from .room_file import ListedRoom, RoomFile

if TYPE_CHECKING:
    from tornado_webrtc.config import Config

__all__ = ["SPECIFICATION", "Settings"]

SPECIFICATION = """\
# A file with the rooms that are always there, one on each line, with their limits and
# passwords. Without it there are none.
# live
file = string(default="")
# Whether there are no other rooms than those of the file. If not, a room comes into being
# when the first peer joins it, and goes with the last one.
# live
only_listed = boolean(default=False)
# Whether peers that name no room are welcome. They see and reach each other, in the lobby,
# and nobody else.
# live
lobby = boolean(default=True)
# How many peers a room holds, unless the file says something else of it. 0 is no limit;
# the lobby has none.
# live
max_peers = integer(min=0, default=0)
# How many rooms there may be at a time besides those of the file. 0 is no limit.
# live
max_rooms = integer(min=0, default=0)
# Whether the first peer's password locks a room that is not in the file, as long as
# anybody is in it.
# live
adhoc_passwords = boolean(default=False)
# How many wrong passwords one address (of IPv6: one /64) may try in a minute. 0 is no limit.
# live
wrong_passwords_per_minute = integer(min=0, default=10)
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """The section as it holds; see `SPECIFICATION`.

    Attributes:
        listed: The rooms of the file, by name.
        doubts: What is allowed, but probably not meant: pairs of key and sentence.
    """

    only_listed: bool = False
    lobby: bool = True
    max_peers: int = 0
    max_rooms: int = 0
    adhoc_passwords: bool = False
    wrong_passwords_per_minute: int = 10
    listed: Mapping[str, ListedRoom] = field(default_factory=dict, repr=False)
    doubts: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, values: Mapping[str, Any], config: Config) -> Settings:
        """Take the section over, and read the file.

        Raises:
            BadContentError: The file cannot be used.
        """
        own = dict(values)
        written = own.pop("file")
        file = RoomFile.read(config.resolve(written)) if written else RoomFile({})
        doubts = tuple(_doubts(own, file))
        return cls(**own, listed=file.rooms, doubts=doubts)

    def max_peers_of(self, name: str) -> int:
        """How many peers a room holds; 0 for no limit."""
        room = self.listed.get(name)
        return self.max_peers if room is None or room.max_peers is None else room.max_peers

    def sentences(self, plugin: str) -> list[str]:
        """What `check` has to say: doubts, each at its key."""
        return [at_key(plugin, key, Doubt(sentence)) for key, sentence in self.doubts]


def _doubts(values: Mapping[str, Any], file: RoomFile) -> Iterator[tuple[str, str]]:
    if file.doubt:
        yield "file", file.doubt
    if values["only_listed"] and not file.rooms:
        yield "only_listed", "there are no rooms in the file: nobody can join any"
    if values["only_listed"] and values["adhoc_passwords"]:
        yield "adhoc_passwords", "it has no effect, since there are only the rooms of the file"
