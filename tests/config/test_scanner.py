"""The scanner: line numbers, faults, and agreement with ConfigObj."""

import pytest
from configobj import ConfigObj, ConfigObjError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tornado_webrtc.config.scanner import Key, scan


def faults_of(text: str) -> list[tuple[int, Key, str]]:
    return [(fault.line, fault.key, fault.message) for fault in scan(text).faults]


def test_places() -> None:
    text = "# c\n[general]\nport = 1\n\n[turn]\n  port=2\n[[inner]]\n'a b' = 3\n[admin]\n"
    assert scan(text).places == {
        ("general",): 2,
        ("general", "port"): 3,
        ("turn",): 5,
        ("turn", "port"): 6,
        ("turn", "inner"): 7,
        ("turn", "inner", "a b"): 8,
        ("admin",): 9,
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    found = scan(end.join(["[turn]", "", "port = 1", ""]))
    assert found.places == {("turn",): 1, ("turn", "port"): 3}
    assert found.lines == ["[turn]", "", "port = 1", ""]


def test_other_line_separators_are_part_of_a_value() -> None:
    found = scan("[turn]\nrealm = a\u2028b\x0cc\x85d\nport = 1")
    assert found.places[("turn", "port")] == 3
    assert found.lines[1] == "realm = a\u2028b\x0cc\x85d"


@pytest.mark.parametrize("comment", ["# x", "; x", "  ; [x]", ";a=1", "#", ";"])
def test_full_line_comments(comment: str) -> None:
    found = scan(f"[turn]\n{comment}\nport = 1")
    assert found.lines == ["[turn]", "", "port = 1"]
    assert found.faults == []


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("", ""),
        ("  8086  ", "8086"),
        ("8086 # web", "8086"),
        ("'a # b' # c", "'a # b'"),
        ("a ,  b,c", "a,b,c"),
        ("a,", "a,"),
        (",", ","),
        (", # none", ","),
        ('"a, b",   c', '"a, b",c'),
        ("it's", "it's"),
        ("a = b", "a = b"),
        ("ab;cd", "ab;cd"),
        ('""', '""'),
        ("'''a'''", "'''a'''"),
        ("'''a''' # c", "'''a''' # c"),
    ],
)
def test_values_in_plain_form(written: str, plain: str) -> None:
    found = scan(f"[turn]\nkey = {written}")
    assert found.lines[1] == f"key = {plain}"
    assert found.faults == []


@pytest.mark.parametrize(
    "written", ["'a", '"a', "a, 'b", "a,,b", ",a", "a, , b", "'a' b", '"a"b"', "'''a", "'''a''' b"]
)
def test_values_that_cannot_be_read(written: str) -> None:
    found = scan(f"[turn]\nsecret = {written}\nport = 1")
    ((line, key, message),) = faults_of(f"[turn]\nsecret = {written}\nport = 1")
    assert (line, key) == (2, ("turn", "secret"))
    assert message.startswith("the value cannot be read")
    assert found.lines == ["[turn]", "", "port = 1"]


def test_value_of_several_lines() -> None:
    text = '[a]\nk = """one\n; two\n[b]\nc = 1""" # end\nd = 2'
    found = scan(text)
    assert found.places == {("a",): 1, ("a", "k"): 2, ("a", "d"): 6}
    assert ConfigObj(found.lines, interpolation=False)["a"]["k"] == "one\n; two\n[b]\nc = 1"


def test_text_after_a_value_of_several_lines() -> None:
    assert faults_of('[a]\nk = """one\ntwo""" x\nd = 2')[0][:2] == (2, ("a", "k"))
    assert ("a", "d") in scan('[a]\nk = """one\ntwo""" x\nd = 2').places


@pytest.mark.parametrize(
    ("line", "is_doubtful"),
    [
        ("k = ab#cd", True),
        ("k = ab #cd", False),
        ("k = 'ab#cd'", False),
        ("k = 'ab'#cd", False),
        ("k = a, b#c", True),
        ("k = a ; b", True),
        ("k = a;b", False),
        ("k = 'a ; b'", False),
        ("k = a, b ;c", True),
        ("k = a # b ; c", False),
    ],
)
def test_remarks(line: str, is_doubtful: bool) -> None:
    assert (("s", "k") in scan(f"[s]\n{line}").remarks) is is_doubtful


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a]\nwhat is this", (2, (), "this line is neither a [section] nor a `key = value`")),
        ("[a]\n= 3", (2, (), "this line is neither a [section] nor a `key = value`")),
        ("[a]\nit's = 3", (2, (), "this line is neither a [section] nor a `key = value`")),
        ("[a", (1, (), "this is no section heading: [name], or [[name]] inside a section")),
        ("[]", (1, (), "this is no section heading: [name], or [[name]] inside a section")),
        ("[a] = 3", (1, (), "this is no section heading: [name], or [[name]] inside a section")),
        ("[[a]", (1, (), "this is no section heading: [name], or [[name]] inside a section")),
        ("[[a]]", (1, (), "there is no section around this one with 2 brackets")),
        ("k = 1", (1, (), "the key k stands before the first [section]")),
        ("[a]\nk = 1\nk = 2", (3, ("a", "k"), "the same name stands in line 2 already")),
        ("[a]\n[b]\n[a]", (3, ("a",), "the same name stands in line 1 already")),
        ("[a]\nk = 1\n[[k]]", (3, ("a", "k"), "the same name stands in line 2 already")),
    ],
)
def test_faults(text: str, fault: tuple[int, Key, str]) -> None:
    assert faults_of(text) == [fault]


def test_keys_below_an_unusable_heading_belong_nowhere() -> None:
    text = "[a]\nx = 1\n[b\ny = 2\n[[c]]\nz = 3\n[d]\nw = 4"
    assert list(scan(text).places) == [("a",), ("a", "x"), ("d",), ("d", "w")]


def test_only_what_is_inside_a_repeated_heading_is_left_out() -> None:
    text = "[a]\n[[b]]\nx = 1\n[[b]]\ny = 2\n[[[c]]]\n[[d]]\nz = 3"
    assert list(scan(text).places) == [
        ("a",),
        ("a", "b"),
        ("a", "b", "x"),
        ("a", "d"),
        ("a", "d", "z"),
    ]


def test_a_long_list_with_an_open_quote_takes_no_time() -> None:
    value = ",   ".join(["10.0.0.0/8"] * 2000)
    assert faults_of(f"[turn]\ndeny_peers = {value}, 'x")[0][0] == 2
    quoted = ",".join(['"a"'] * 2000)
    assert faults_of(f"[turn]\ndeny_peers = {quoted}, 'x")[0][0] == 2


def test_secrets_are_not_in_messages() -> None:
    text = "[turn]\nhunter2\nsecret = 'hunter2\nsecret = hunter2\nsecret = hunter2\n[hunter2"
    assert "hunter2" not in repr(scan(text).faults)
    assert "hunter2" not in repr(scan(text))


LINES = st.one_of(
    st.sampled_from(
        ["[a]", "[b] # c", "[[a]]", "[[c]]", "[[[d]]]", "[ a ]", "['a b']", "[a", "[[a]"]
    ),
    st.sampled_from(["x = 1", "x=", "y = a, b", "z = '''", "z = '''a''' # b", "'''", "# c", ""]),
    st.text(alphabet="[]ab =,'\"#;\t\\", max_size=14),
    st.builds(
        "{} = {}".format, st.sampled_from("klmn"), st.text(alphabet="ab ,'\"#=;", max_size=12)
    ),
)
TEXTS = st.lists(LINES, max_size=12).map("\n".join)


def flattened(tree: ConfigObj, outer: Key = ()) -> list[Key]:
    found = [(*outer, name) for name in tree.scalars]
    for name in tree.sections:
        found += [(*outer, name), *flattened(tree[name], (*outer, name))]
    return found


def parsed(lines: list[str]) -> ConfigObj:
    return ConfigObj(lines, interpolation=False)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
@example("[a]\nx = '''a\n[b]\n'''\ny = 1")
@example('["a"]\n"x" = 1')
@example("[a]\n'' = 1")
def test_configobj_sees_what_the_scanner_saw(text: str) -> None:
    found = scan(text)
    assert sorted(flattened(parsed(found.lines))) == sorted(found.places)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_a_file_without_faults_means_to_configobj_what_it_means_to_us(text: str) -> None:
    found = scan(text)
    lines = ["" if line.strip().startswith(";") else line for line in text.split("\n")]
    if not found.faults and "'''" not in text and '"""' not in text:
        try:
            theirs = parsed(lines)
        except ConfigObjError:
            assert "#" in text  # it reads quotes and commas in comments
        else:
            assert flattened(theirs) == flattened(parsed(found.lines))
            if "#" not in text:
                assert theirs == parsed(found.lines)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_what_configobj_refuses_has_a_fault(text: str) -> None:
    try:
        parsed(text.split("\n"))
    except ConfigObjError:
        lines = text.split("\n")
        assert (
            scan(text).faults or any(line.strip().startswith(";") for line in lines) or "#" in text
        )


@settings(deadline=None)
@given(st.text())
def test_any_text_can_be_scanned(text: str) -> None:
    found = scan(text)
    assert all(1 <= line <= len(found.lines) for line in found.places.values())
    assert all(1 <= fault.line <= len(found.lines) for fault in found.faults)
