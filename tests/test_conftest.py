"""The guards in conftest.py fail the tests that they are meant to fail, and no others."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GRACE, SHORT_GRACE = "_TASK_GRACE_S = 10.0\n", "_TASK_GRACE_S = 1.0\n"

SAMPLE = """
import asyncio, importlib, logging, os
import pytest
from tornado_webrtc.plugins import add_folder

log = logging.getLogger("tornado_webrtc.sample")

@pytest.fixture
async def background():
    task = asyncio.create_task(asyncio.sleep(60))
    yield
    task.cancel()

@pytest.fixture
async def noisy_end():
    yield
    log.error("at the end")

def test_good_silent():
    log.info("started")
    logging.getLogger("others").warning("not ours")

def test_good_expected(expect_log):
    expect_log(r"port \\d+")
    log.warning("port %d is in use", 80)
    log.warning("port %d is in use", 81)

def test_good_slow_callback():
    logging.getLogger("asyncio").warning("Executing <Task pending> took 0.123 seconds")

async def test_good_task_of_a_fixture(background):
    assert asyncio.get_running_loop().get_debug()

async def test_good_task_that_ends():
    asyncio.create_task(asyncio.sleep(0.01))

def test_good_changes(tmp_path):
    os.environ["TORNADO_WEBRTC__GENERAL__PORT"] = "1"
    os.chdir(tmp_path)
    (tmp_path / "greeter.py").touch()
    add_folder(tmp_path)
    importlib.import_module("tornado_webrtc.plugins.greeter")
    logging.getLogger("tornado_webrtc").propagate = False
    logging.getLogger("tornado").handlers.clear()

def test_good_changes_are_undone():
    assert "TORNADO_WEBRTC__GENERAL__PORT" not in os.environ
    assert os.path.exists("test_sample.py")
    assert logging.getLogger("tornado_webrtc").propagate
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("tornado_webrtc.plugins.greeter")

def test_bad_unexpected():
    log.warning("port %d is in use", 80)

def test_bad_other_message(expect_log):
    expect_log("port 81")
    log.warning("port 81 is in use")
    log.warning("port 82 is in use")

def test_bad_missing(expect_log):
    expect_log("port 81")

def test_bad_tornado():
    logging.getLogger("tornado.general").error("lost")

async def test_bad_after_the_test(noisy_end):
    pass

async def test_bad_leaked_task():
    test_bad_leaked_task.task = asyncio.create_task(asyncio.sleep(60))

async def test_bad_lost_exception():
    async def fail():
        raise ValueError("lost")
    asyncio.create_task(fail())
    await asyncio.sleep(0.01)

async def test_bad_not_awaited():
    asyncio.sleep(0)

def test_bad_warning():
    import warnings
    warnings.warn("old", DeprecationWarning)
"""

REASONS = {
    "test_bad_unexpected": "unexpected log message: WARNING tornado_webrtc.sample: port 80",
    "test_bad_other_message": "unexpected log message: .* port 82",
    "test_bad_missing": "expected a log message that matches 'port 81', none came",
    "test_bad_tornado": "unexpected log message: ERROR tornado.general: lost",
    "test_bad_after_the_test": "unexpected log message: .* at the end",
    "test_bad_leaked_task": "tasks still running: .*test_bad_leaked_task",
    "test_bad_lost_exception": "Task exception was never retrieved",
    "test_bad_not_awaited": "'sleep' was never awaited",
    "test_bad_warning": "DeprecationWarning: old",
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says about the sample, with this project's settings."""
    folder = tmp_path_factory.mktemp("sample")
    conftest = (ROOT / "tests" / "conftest.py").read_text()
    assert GRACE in conftest
    (folder / "conftest.py").write_text(conftest.replace(GRACE, SHORT_GRACE))
    (folder / "test_sample.py").write_text(SAMPLE)
    command = [sys.executable, "-m", "pytest", f"--rootdir={folder}", "-p", "no:cacheprovider"]
    command += ["-c", str(ROOT / "pyproject.toml"), "-rA", "--tb=short", "test_sample.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_good_tests_pass(report: str) -> None:
    names = re.findall(r"def (test_good_\w+)", SAMPLE)
    assert len(names) == 7
    for name in names:
        assert re.search(rf"^PASSED .*::{name}$", report, re.MULTILINE), report
        assert not re.search(rf"^(ERROR|FAILED) .*::{name}\b", report, re.MULTILINE), report


@pytest.mark.parametrize("name", REASONS)
def test_bad_test_fails(report: str, name: str) -> None:
    assert re.search(rf"^(ERROR|FAILED) .*::{name}\b", report, re.MULTILINE), report
    assert re.search(REASONS[name], report, re.DOTALL), report


def test_every_bad_test_is_looked_at() -> None:
    assert re.findall(r"def (test_bad_\w+)", SAMPLE) == list(REASONS)
