"""What starting the command line imports: each of these costs more than all of it together."""

import json
import os
import pty
import subprocess
import sys

import pytest

HEAVY = {
    "airflow", "aiobotocore", "boto3", "botocore", "fsspec", "httpx", "jinja2", "psutil", "rich", "rich_argparse",
    "ruamel", "s3fs", "sqlalchemy", "argcomplete",
}  # fmt: skip
DUMP = """
import json, sys
from xcomctl.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def imported(*arguments: str) -> set[str]:
    run = subprocess.run([sys.executable, "-c", DUMP, *arguments], capture_output=True, text=True, check=True)
    return set(json.loads(run.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("nonsense",),
        ("dags", "list"),
        ("journal", "--journal", "no-such-file"),
        *(
            (command, "--help")
            for command in (
                "rehearse",
                "journal",
                "status",
                "refs",
                "pull",
                "logs",
                "probe",
                "size",
                "verify",
                "killswitch",
                "decide",
            )
        ),
    ],
)
def test_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert imported(*arguments) & HEAVY == set()


def on_a_terminal(*command: str, **extra: str) -> str:
    """What a command prints when its standard output is a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=theirs, env={**os.environ, "TERM": "xterm-256color", **extra})
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # Linux's way to say that the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait() == 0
    return seen.decode()


def test_help_is_coloured_on_a_terminal_only() -> None:
    command = (sys.executable, "-m", "xcomctl", "--help")
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    plain = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert "\x1b[" not in plain
    if "NO_COLOR" not in os.environ:
        assert "\x1b[" in on_a_terminal(*command)
    assert "\x1b[" not in on_a_terminal(*command, NO_COLOR="1")
