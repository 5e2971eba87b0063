"""What is measured: the load that one run of the generator makes."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["QUICK", "SCENARIOS", "THOROUGH", "Effort", "Scenario", "chosen"]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much time is spent.

    Attributes:
        runs: Runs per scenario and server, of which the median is taken.
        duration_s: Measured seconds of a run.
        warmup_s: Seconds of load before that.
        many: Allocations of the scenario that counts them.
    """

    runs: int
    duration_s: float
    warmup_s: float
    many: int


THOROUGH = Effort(runs=3, duration_s=4.0, warmup_s=0.5, many=1000)
QUICK = Effort(runs=1, duration_s=0.4, warmup_s=0.1, many=200)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line of the report.

    Attributes:
        name: What the command line calls it.
        title: What the report calls it.
        direction: ``c2p``, client to peer, or ``p2c``.
        size: Bytes of payload.
        transport: The clients'; peers always speak UDP.
        mode: ``channel``: ChannelData (RFC 8656 section 12.4); ``indication``: Send and
            Data indications (section 11).
        rate: Packets per second; 0 is a closed loop, as many as the server relays.
        counts: What the figures are per: a relayed packet, or an allocation made.
    """

    name: str
    title: str
    direction: Literal["c2p", "p2c"] = "c2p"
    size: int = 160
    transport: Literal["udp", "tcp"] = "udp"
    mode: Literal["channel", "indication"] = "channel"
    rate: int = 0
    counts: Literal["packet", "allocation"] = "packet"

    def arguments(self, effort: Effort) -> list[str]:
        """Return the generator's options for a run."""
        allocations = effort.many if self.counts == "allocation" else 10
        return [
            f"--allocations={allocations}",
            f"--direction={self.direction}",
            f"--size={self.size}",
            f"--transport={self.transport}",
            f"--mode={self.mode}",
            f"--duration={effort.duration_s:g}",
            f"--warmup={effort.warmup_s:g}",
            *([f"--rate={self.rate}"] if self.rate else []),
        ]


SCENARIOS = (
    Scenario("udp-160-c2p", "ChannelData, UDP, 160 B, client to peer"),
    Scenario("udp-160-p2c", "ChannelData, UDP, 160 B, peer to client", "p2c"),
    Scenario("udp-1200-c2p", "ChannelData, UDP, 1200 B, client to peer", size=1200),
    Scenario("udp-1200-p2c", "ChannelData, UDP, 1200 B, peer to client", "p2c", size=1200),
    Scenario("tcp-160-c2p", "ChannelData, TCP, 160 B, client to peer", transport="tcp"),
    Scenario("tcp-160-p2c", "ChannelData, TCP, 160 B, peer to client", "p2c", transport="tcp"),
    Scenario("send-160", "Send indications, UDP, 160 B", mode="indication"),
    Scenario("data-160", "Data indications, UDP, 160 B", "p2c", mode="indication"),
    Scenario("paced-160", "ChannelData, UDP, 160 B, 10,000 packets/s", rate=10_000),
    Scenario(
        "paced-tcp-160", "ChannelData, TCP, 160 B, 10,000 packets/s", transport="tcp", rate=10_000
    ),
    Scenario("allocations", "Allocations made", counts="allocation"),
)


def chosen(names: tuple[str, ...]) -> tuple[Scenario, ...]:
    """Return the scenarios with these names in the order of the report; without names, all."""
    return tuple(each for each in SCENARIOS if not names or each.name in names)
