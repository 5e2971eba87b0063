"""The exception tree: one base, messages that a person can act on."""

from tornado_webrtc import errors
from tornado_webrtc.errors import (
    AdminError,
    ConfigError,
    PluginError,
    Problem,
    SignalingError,
    TornadoWebrtcError,
    UnavailableError,
)

PORT = Problem("server.ini, line 2, general.port", "'many' is no number", "Give a number.")
HOST = Problem("server.ini, line 3, general.bind", "'x' is no address")


def test_whoever_catches_the_base_catches_all() -> None:
    classes = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    assert len(classes) == 11
    assert all(issubclass(each, TornadoWebrtcError) for each in classes)


def test_tree_in_the_docstring_is_the_tree() -> None:
    for each in (*TornadoWebrtcError.__subclasses__(), *AdminError.__subclasses__()):
        if each.__module__ == errors.__name__:
            assert f"── {each.__name__} " in (errors.__doc__ or "")


def test_admin_error_has_the_status_and_code_of_the_answer() -> None:
    error = AdminError("There is nothing.", status=404, code="not-found")
    assert (str(error), error.status, error.code) == ("There is nothing.", 404, "not-found")
    assert UnavailableError("gone").status == 0


def test_problem_says_where_what_and_what_to_do() -> None:
    assert str(PORT) == (
        "server.ini, line 2, general.port: 'many' is no number\n    Give a number."
    )
    assert str(HOST) == "server.ini, line 3, general.bind: 'x' is no address"


def test_configuration_error_lists_every_problem_in_order() -> None:
    error = ConfigError(problem for problem in (PORT, HOST))
    assert error.problems == (PORT, HOST)
    assert str(error) == f"{PORT}\n{HOST}"


def test_plugin_error_names_the_plugin() -> None:
    error = PluginError("rooms", "out of order")
    assert (error.plugin, error.reason) == ("rooms", "out of order")
    assert str(error) == "plugin rooms: out of order"


def test_signaling_error_is_what_the_client_reads() -> None:
    error = SignalingError("not-found", "Peer [7] not found.")
    assert (error.code, error.reason) == ("not-found", "Peer [7] not found.")
    assert str(error) == "Peer [7] not found."


def test_problems_that_say_the_same_are_equal() -> None:
    again = Problem(PORT.where, PORT.message, PORT.hint)
    assert {PORT, HOST, again} == {PORT, HOST}
