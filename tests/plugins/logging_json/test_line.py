"""Lines of JSON: always valid, on one line, redacted, never above 64 kB."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.plugins.logging_json.line import EVENT_LOGGER, MAX_LINE_BYTES, LineFormat
from tornado_webrtc.redaction import REDACTED, Redaction

AT = 1767225600.0419  # 2026-01-01T00:00:00.0419Z


def record(message: object = "hello", *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord(
        "tornado_webrtc.x", logging.WARNING, "/src/x.py", 7, message, arguments, None
    )
    made.created = AT
    vars(made).update(extra)
    return made


def failed(function: Callable[[], object]) -> logging.LogRecord:
    made = record("it failed")
    try:
        function()
    except BaseException as error:
        made.exc_info = (type(error), error, error.__traceback__)
    return made


def line_of(made: logging.LogRecord, redaction: Redaction | None = None) -> dict[str, Any]:
    line = LineFormat(redaction or Redaction()).record(made)
    assert "\n" not in line
    assert len(line.encode()) < MAX_LINE_BYTES
    decoded = json.loads(line)
    assert isinstance(decoded, dict)
    return decoded


def test_record() -> None:
    assert line_of(record("%d of %s", 3, "ü")) == {
        "time": "2026-01-01T00:00:00.041Z",
        "level": "WARNING",
        "logger": "tornado_webrtc.x",
        "message": "3 of ü",
    }


def test_time_is_utc_with_milliseconds() -> None:
    form = LineFormat(Redaction())
    times = []
    for created in (0.0, 0.9999, 1.0, 1e9, 0.5):
        made = record()
        made.created = created
        times.append(json.loads(form.record(made))["time"])
    assert times == [
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.999Z",
        "1970-01-01T00:00:01.000Z",
        "2001-09-09T01:46:40.000Z",
        "1970-01-01T00:00:00.500Z",
    ]


def test_extra_fields_stand_beside_the_message() -> None:
    fields = {"request_id": "ab", "status": 200, "duration_ms": 1.5, "ok": True, "none": None}
    assert line_of(record(**fields)) | fields == line_of(record(**fields))


def test_fields_of_the_format_are_not_overwritten() -> None:
    line = line_of(record(time="x", level=1, event="y", exception="z"))
    assert line["time"] == "2026-01-01T00:00:00.041Z"
    assert line["level"] == "WARNING"
    assert (line["time_"], line["level_"], line["event_"], line["exception_"]) == ("x", 1, "y", "z")


class Thing:
    def __str__(self) -> str:
        return "thing with token=abc from 192.0.2.77"


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("token=abc")


def test_values_of_every_kind() -> None:
    line = line_of(
        record(
            big=2**70,
            low=-(2**70),
            infinite=float("inf"),
            raw=b"password=abc",
            thing=Thing(),
            unspeakable=Unspeakable(),
            several=("a", {1}, {"k": [1.5]}),
        )
    )
    assert line["big"] == hex(2**70)
    assert line["low"] == hex(-(2**70))
    assert line["infinite"] is None
    assert line["raw"] == f"b'password={REDACTED}'"
    assert line["thing"] == f"thing with token={REDACTED} from 192.0.2.77"
    assert line["unspeakable"] == "[Unspeakable without a text: RuntimeError]"
    assert line["several"] == ["a", [1], {"k": [1.5]}]


def test_values_of_secret_names_are_taken_out() -> None:
    line = line_of(
        record(token="abc", sdp=["v", "0"], nested={"Password": "x", "n": 1}, tokens_used=5)
    )
    assert line["token"] == line["sdp"] == REDACTED
    assert line["nested"] == {"Password": REDACTED, "n": 1}
    assert line["tokens_used"] == 5


def test_secrets_need_not_be_texts() -> None:
    line = line_of(record(password=12345678, token=1.5, secret=[1], has_token=True, nonce=None))
    assert line["password"] == line["token"] == line["secret"] == REDACTED
    assert line["has_token"] is True
    assert line["nonce"] is None


def test_first_of_a_pair_names_the_second() -> None:
    headers = [("X-Auth-Token", "s3"), ["Cookie", "sid=s3"], (b"Authorization", b"s3"), ("A", "b")]
    line = line_of(record(headers=headers, argument=("token", 5), keys=["turn.secret", "x"]))
    assert line["headers"] == [
        ["X-Auth-Token", REDACTED],
        ["Cookie", REDACTED],
        ["b'Authorization'", REDACTED],
        ["A", "b"],
    ]
    assert line["argument"] == ["token", REDACTED]
    assert line["keys"] == ["turn.secret", "x"]


def test_everything_is_redacted_and_anonymized() -> None:
    def fail() -> None:
        raise ValueError("Bearer s3cr3t of 192.0.2.77")

    made = failed(fail)
    made.msg, made.args = "from %s with token=%s", ("2001:db8:1:2::3", "s3cr3t")
    made.stack_info = "Stack:\n  password=s3cr3t 192.0.2.77"
    vars(made)["field"] = {"192.0.2.77": ["nonce=s3cr3t"]}
    line = LineFormat(Redaction(anonymous=True)).record(made)
    assert "s3cr3t" not in line
    assert "192.0.2.77" not in line
    assert "2001:db8:1:2" not in line
    decoded = json.loads(line)
    assert decoded["message"] == f"from 2001:db8:1:: with token={REDACTED}"
    assert decoded["exception"]["text"] == f"Bearer {REDACTED} of 192.0.2.0".replace(
        "Bearer", "bearer"
    )
    assert decoded["stack"] == ["Stack:", f"  password={REDACTED} 192.0.2.0"]
    assert decoded["field"] == {"192.0.2.0": [f"nonce={REDACTED}"]}


# --- exceptions ---------------------------------------------------------------------------


def test_exception() -> None:
    def fail() -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise json.JSONDecodeError("outer", "doc", 1) from error

    exception = line_of(failed(fail))["exception"]
    assert exception["type"] == "json.decoder.JSONDecodeError"
    assert exception["text"] == "outer: line 1 column 2 (char 1)"
    lines = exception["traceback"]
    assert lines[0] == "Traceback (most recent call last):"
    assert any("in fail" in line for line in lines)
    assert "KeyError: 'inner'" in lines
    assert lines[-1].endswith("JSONDecodeError: outer: line 1 column 2 (char 1)")


def test_exception_of_python_itself() -> None:
    assert line_of(failed(lambda: 1 // 0))["exception"]["type"] == "ZeroDivisionError"


def test_record_that_says_exception_outside_of_one() -> None:
    made = record()
    made.exc_info = (None, None, None)
    assert "exception" not in line_of(made)


def test_secret_of_several_lines_in_an_exception() -> None:
    sdp = "v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\na=ice-pwd:abcdefgh\r\n"

    def fail() -> None:
        raise ValueError(f"cannot parse {sdp}")

    line = LineFormat(Redaction()).record(failed(fail))
    assert "ice-pwd" not in line
    assert "10.0.0.1" not in line


def test_long_traceback_loses_its_middle() -> None:
    def fail(depth: int) -> None:
        try:
            raise ValueError(depth)
        except ValueError:
            if depth:
                fail(depth - 1)
            raise

    exception = line_of(failed(lambda: fail(60)))["exception"]
    assert exception["traceback"][0] == "Traceback (most recent call last):"
    assert any("lines more]" in line for line in exception["traceback"])
    assert exception["traceback"][-1].startswith(("ValueError: ", "    "))


# --- what does not fit ------------------------------------------------------------------------


def test_arguments_that_do_not_fit() -> None:
    message = line_of(record("%d tokens", "s3cr3t"))["message"]
    assert message == "%d tokens [TypeError: the arguments do not fit, at /src/x.py:7]"


@pytest.mark.parametrize(
    "text", ["x" * 10**6, "\x00" * 10**6, "\U0001f600" * 10**6, "\ud800" * 10**5, "a b " * 10**6]
)
def test_large_message(text: str) -> None:
    line = line_of(record(text))
    assert " characters more]" in line["message"]
    assert line["logger"] == "tornado_webrtc.x"


def test_large_everything() -> None:
    def fail() -> None:
        raise ValueError("\x01" * 10**6)

    made = failed(fail)
    made.stack_info = "\x02" * 10**6
    vars(made).update({f"field{number}": "\x03" * 10**4 for number in range(1000)})
    vars(made)["deep"] = [[[[[[["x"]]]]]]]
    line_of(made)


def test_large_logger_name() -> None:
    made = record()
    made.name = "x" * 10**6
    assert len(line_of(made)["logger"]) == 128


def test_deep_and_endless_values() -> None:
    endless: list[object] = []
    endless.append(endless)
    wide = {str(number): list(range(100)) for number in range(100)}
    line = line_of(record(endless=endless, wide=wide))
    assert str(line["endless"]).startswith("[[")
    assert sum(len(each) for each in line.get("wide", {}).values()) < 300


def test_half_of_a_surrogate_pair() -> None:
    line = line_of(record("\ud800 x", field=["\udfff"], **{"\ud801": "y"}))
    assert line["message"] == "\\ud800 x"
    assert line["field"] == ["\\udfff"]
    assert line["\\ud801"] == "y"


@given(
    st.text(st.characters(), max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
        max_leaves=20,
    ),
)
def test_anything_gives_a_valid_line(text: str, value: object) -> None:
    line_of(record(text, field=value))


# --- events -------------------------------------------------------------------------------------


def test_event() -> None:
    line = LineFormat(Redaction()).event(
        "peer_left", {"peer_id": "alice", "subject": None, "reason": "token=abc"}, AT
    )
    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00.041Z",
        "level": "INFO",
        "logger": EVENT_LOGGER,
        "event": "peer_left",
        "peer_id": "alice",
        "reason": f"token={REDACTED}",
    }


def test_large_event() -> None:
    fields = {f"field{number}": "\x01" * 10**4 for number in range(199)}
    line = LineFormat(Redaction()).event("x", fields, AT)
    assert len(line) < MAX_LINE_BYTES
    assert json.loads(line)["event"] == "x"
