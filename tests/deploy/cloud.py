"""AWS on this machine: S3 and Systems Manager, behind the real command line."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

BUCKET = "releases-of-ours"
START_S = 60.0


@dataclass(frozen=True)
class Cloud:
    """Where it answers, and what the command line needs to know."""

    environ: Mapping[str, str]

    def aws(self, *arguments: str | Path) -> str:
        """Run the command line, and return what it prints."""
        program = shutil.which("aws")
        assert program, "the AWS command line is not installed"
        return subprocess.run(
            [program, "--endpoint-url", self.environ["AWS_ENDPOINT_URL"], *arguments],
            env={**os.environ, **self.environ},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def upload(self, *paths: Path) -> None:
        """Put files into the bucket."""
        for path in paths:
            self.aws("s3", "cp", path, f"s3://{BUCKET}/{path.name}")


@contextmanager
def running_cloud(folder: Path) -> Iterator[Cloud]:
    """Run it, with a bucket in it, until the context ends."""
    log = folder / "cloud.log"
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        endpoint = _endpoint(process, log)
        cloud = Cloud(
            {
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "eu-central-1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": "/dev/null",
            }
        )
        cloud.aws("s3", "mb", f"s3://{BUCKET}")
        yield cloud
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _endpoint(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + START_S
    while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return found[0]
