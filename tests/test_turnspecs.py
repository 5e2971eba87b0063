"""The hooks of the TURN server are hooks like all others, wherever they are specified."""

from tornado_webrtc import hookspecs, turnspecs
from tornado_webrtc.implementation import hook_manager

NAMES = {name for name, value in vars(turnspecs).items() if hasattr(value, "tornado_webrtc_spec")}


def test_names() -> None:
    assert set(turnspecs.__all__) == NAMES
    assert set(hookspecs.__all__) > NAMES


def test_every_one_is_known_by_its_kind() -> None:
    kinds = {kind for kind, names in hookspecs.KINDS.items() if NAMES.intersection(names)}
    assert kinds == {"lookup", "permit", "notify"}
    assert set().union(*hookspecs.KINDS.values()) > NAMES


def test_pluggy_has_the_same_specification() -> None:
    manager = hook_manager()
    for name in sorted(NAMES):
        assert getattr(hookspecs, name) is getattr(turnspecs, name)
        assert getattr(manager.hook, name).spec.function is getattr(turnspecs, name)
