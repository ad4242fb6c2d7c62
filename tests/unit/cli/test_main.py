"""How any command ends: exit codes, one sentence, no traceback."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import xcomctl
from xcomctl.cli import main as cli
from xcomctl.errors import UserError
from xcomctl.model.verdicts import Verdict

ROOT = Path(__file__).parents[3]


def xcomctl_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "xcomctl", *arguments], capture_output=True, text=True)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command line with a command ``try`` that does what it is given."""

    def run(action: Callable[[], int], *arguments: str) -> int:
        class Module:
            @staticmethod
            def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
                subparsers.add_parser("try").set_defaults(run=lambda _: action())

        monkeypatch.setattr(cli, "COMMANDS", ("try",))
        monkeypatch.setitem(sys.modules, "xcomctl.cli.try", Module())  # type: ignore[arg-type]
        return cli.main(arguments or ["try"])

    return run


def raising(error: BaseException) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


def test_version() -> None:
    run = xcomctl_cli("--version")
    assert (run.returncode, run.stdout) == (0, f"xcomctl {xcomctl.__version__}\n")


def test_help_names_every_command_and_the_exit_codes() -> None:
    run = xcomctl_cli("--help")
    assert run.returncode == 0
    for name in cli.COMMANDS:
        assert name in run.stdout
    assert "130 interrupted" in run.stdout


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("--nonsense",), ("dags",), ("completion", "tcsh")])
def test_usage_errors_exit_with_2_and_keep_standard_output_clean(arguments: tuple[str, ...]) -> None:
    run = xcomctl_cli(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert "usage: xcomctl" in run.stderr


def test_options_cannot_be_abbreviated() -> None:
    assert xcomctl_cli("--vers").returncode == 2
    assert xcomctl_cli("journal", "--out", "json").returncode == 2


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_user_error_is_a_sentence_and_a_hint(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], verdict: Verdict
) -> None:
    assert command(raising(UserError("no such bucket", "make one", verdict))) == verdict.exit_code
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("", "xcomctl: error: no such bucket\nhint: make one\n")


def test_a_user_error_is_inconclusive_by_default(command: Callable[..., int]) -> None:
    assert command(raising(UserError("it did not answer"))) == 5


def test_an_unexpected_error_is_short(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(raising(KeyError("surprise"))) == 1
    error = capsys.readouterr().err
    assert "KeyError: 'surprise'" in error
    assert "--debug" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("arguments", [("--debug", "try"), ("try", "--debug")])
def test_debug_shows_the_traceback(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert command(raising(KeyError("surprise")), *arguments) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("try",), ("--debug", "try")])
def test_an_unexpected_error_keeps_passwords_to_itself(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert command(raising(ValueError("postgresql://airflow:hunter2@db/airflow")), *arguments) == 1
    assert "hunter2" not in capsys.readouterr().err


def test_an_interrupt_exits_with_130(command: Callable[..., int]) -> None:
    assert command(raising(KeyboardInterrupt())) == 130


def test_a_reader_that_leaves_is_no_traceback() -> None:
    script = (
        "import sys, types; from xcomctl.cli import main as cli\n"
        "module = types.SimpleNamespace(register=lambda s: s.add_parser('try').set_defaults(\n"
        "    run=lambda a: print('\\n'.join(map(str, range(1000000)))) or 0))\n"
        "sys.modules['xcomctl.cli.try'] = module; cli.COMMANDS = ('try',); sys.exit(cli.main(['try']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stderr
    assert process.stdout.readline() == "0\n"
    process.stdout.close()
    assert (process.wait(), process.stderr.read()) == (1, "")
    process.stderr.close()


@pytest.mark.parametrize("script", ["xcom_roundtrip_probe.py", "xcom_flip_preflight.py"])
def test_a_script_and_a_python_without_what_airflow_brings_along_end_with_a_sentence(
    script: str, tmp_path: Path
) -> None:
    # -S: nothing that is installed is seen, as in a Python that is no Airflow's.
    command = [sys.executable, "-S", str(ROOT / "scripts" / script), "--journal", str(tmp_path / "journal.jsonl")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 5, run.stderr
    assert "has no rich, which xcomctl needs and every Airflow brings along" in run.stderr
    assert "unexpected" not in run.stderr


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_is_started_without_the_others(name: str) -> None:
    """Their options are made of what a person never asked for."""
    program = (
        "import sys; from xcomctl.cli import main\n"
        f"try: main.main(['--debug', {name!r}, '--help'])\n"
        "except SystemExit: pass\n"
        "print(*(each for each in main.COMMANDS if f'xcomctl.cli.{each}' in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr.split()) == (0, [name])
    assert f"usage: xcomctl {name}" in done.stdout


@pytest.mark.parametrize("words", [[], ["--help", "refs"], ["nonsense"], ["--version", "refs"]])
def test_whatever_names_no_command_first_is_about_all_of_them(words: list[str]) -> None:
    assert cli._named(words) is None
