"""The configuration: a file and environment variables become frozen, typed values.

`Draft` reads and checks in steps, so that plugins can bring their own sections;
`load` does it in one go. Every problem is reported at once, as a `ConfigError`.
"""

from .address import (
    IPAddress,
    IPNetwork,
    PortRange,
    PublicAddress,
    parse_bind_address,
    parse_host,
)
from .draft import Draft, load
from .model import Admin, Config, General, Plugins, Signaling, Turn
from .reach import limited_reach
from .specification import CORE, marks, own_marks

__all__ = [
    "CORE",
    "Admin",
    "Config",
    "Draft",
    "General",
    "IPAddress",
    "IPNetwork",
    "Plugins",
    "PortRange",
    "PublicAddress",
    "Signaling",
    "Turn",
    "limited_reach",
    "load",
    "marks",
    "own_marks",
    "parse_bind_address",
    "parse_host",
]
