"""Compiling and running the load generator, and reading what it reports."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from bench import generator
from bench.errors import BenchError
from bench.generator import compile_generator, compile_hint, parse, run_generator
from bench.machine import choose_cores
from tests.bench.figure import GOOD


def test_report() -> None:
    assert parse(json.dumps({**asdict(GOOD), "mode": "channel", "sent": 17})) == GOOD


@pytest.mark.parametrize(
    "report",
    [
        "",
        "turnload: no",
        "[]",
        "17",
        "{}",
        json.dumps({**asdict(GOOD), "pps": "many"}),
        json.dumps({**asdict(GOOD), "pps": None}),
    ],
)
def test_what_is_no_report(report: str) -> None:
    with pytest.raises(BenchError, match="not understood"):
        parse(report)


def test_it_is_compiled_once(tmp_path: Path) -> None:
    folder = tmp_path / "build" / "bench"
    program = compile_generator(folder)
    assert os.access(program, os.X_OK)
    made = program.stat().st_mtime_ns
    assert compile_generator(folder) == program
    assert program.stat().st_mtime_ns == made


def test_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match=r"no C compiler.*libssl-dev"):
        compile_generator(tmp_path)


def test_source_that_does_not_compile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source.c").write_text("#include <openssl/there-is-no-such.h>\n")
    monkeypatch.setattr(generator, "SOURCE", tmp_path)
    with pytest.raises(BenchError, match=r"(?s)there-is-no-such.*libssl-dev"):
        compile_generator(tmp_path)


@pytest.mark.parametrize(
    ("messages", "hint"),
    [
        ("fatal error: openssl/evp.h: No such file or directory", "headers of OpenSSL are missing"),
        ("ld: cannot find -lcrypto: No such file", "headers of OpenSSL are missing"),
        ("error: unknown type name", "It needs Linux"),
    ],
)
def test_hint(messages: str, hint: str) -> None:
    assert hint in compile_hint(messages)


def test_program_that_fails(tmp_path: Path) -> None:
    program = tmp_path / "turnload"
    program.write_text("#!/bin/sh\necho 'turnload: connect: refused' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(BenchError, match="connect: refused"):
        run_generator(program, choose_cores().generator, "127.0.0.1:1", os.getpid(), [])


def test_program_that_is_not_there(tmp_path: Path) -> None:
    core = choose_cores().generator
    with pytest.raises(BenchError, match="does not start"):
        run_generator(tmp_path / "turnload", core, "127.0.0.1:1", os.getpid(), [])
