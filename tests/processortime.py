"""How long work takes by itself: a machine that is busy with something else adds nothing."""

import time
from collections.abc import Callable


def shortest_s(work: Callable[[], object], rounds: int = 3) -> float:
    """Seconds of this thread's processor time; of so many rounds, those of the shortest."""
    found = []
    for _ in range(rounds):
        since = time.thread_time()
        work()
        found.append(time.thread_time() - since)
    return min(found)
