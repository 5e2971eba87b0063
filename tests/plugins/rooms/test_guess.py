"""Wrong passwords are counted by client, a minute from the first."""

from tornado_webrtc.plugins.rooms.guess import WINDOW_S, GuessLimit


def test_limit_holds_for_a_minute_from_the_first() -> None:
    guesses = GuessLimit(2)
    assert not guesses.exhausted("a", 100.0)
    guesses.add("a", 100.0)
    assert not guesses.exhausted("a", 130.0)
    guesses.add("a", 130.0)
    assert guesses.exhausted("a", 130.0)
    assert guesses.exhausted("a", 99.9 + WINDOW_S)
    assert not guesses.exhausted("a", 100.0 + WINDOW_S)
    guesses.add("a", 100.0 + WINDOW_S)
    assert not guesses.exhausted("a", 101.0 + WINDOW_S)


def test_what_was_not_wrong_is_taken_back() -> None:
    guesses = GuessLimit(2)
    guesses.forgive("a")
    guesses.add("a", 0.0)
    guesses.add("a", 1.0)
    guesses.forgive("a")
    assert not guesses.exhausted("a", 1.0)
    guesses.forgive("a")
    assert len(guesses) == 0


def test_clients_are_counted_apart() -> None:
    guesses = GuessLimit(1)
    guesses.add("a", 0.0)
    assert guesses.exhausted("a", 1.0)
    assert not guesses.exhausted("b", 1.0)


def test_no_limit() -> None:
    guesses = GuessLimit(0)
    for _ in range(1000):
        guesses.add("a", 0.0)
    assert not guesses.exhausted("a", 0.0)


def test_changed_limit() -> None:
    guesses = GuessLimit(0)
    for _ in range(3):
        guesses.add("a", 0.0)
    guesses.limit = 3
    assert guesses.exhausted("a", 0.0)
    guesses.limit = 4
    assert not guesses.exhausted("a", 0.0)


def test_oldest_are_forgotten() -> None:
    guesses = GuessLimit(1, size=2)
    for now, client in enumerate("abc"):
        guesses.add(client, float(now))
    assert len(guesses) == 2
    assert [guesses.exhausted(client, 3.0) for client in "abc"] == [False, True, True]


def test_client_that_begins_anew_is_young_again() -> None:
    guesses = GuessLimit(1, size=2)
    guesses.add("a", 0.0)
    guesses.add("b", 1.0)
    guesses.add("a", WINDOW_S)
    guesses.add("c", WINDOW_S)
    assert guesses.exhausted("a", WINDOW_S)
