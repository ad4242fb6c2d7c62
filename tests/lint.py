"""``make lint``: every static check, each one run whatever the others found."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
BELOW_THE_LINE = (
    "agent", "checks", "roundtrip", "rehydrate", "sizing", "sweep", "references", "metadata", "store",
    "airflow_compat", "model",
)  # fmt: skip

#: Compiles every file that it is given, and imports it: below the line, other libraries are imported when they are used.
#: A module that needs one at once is passed over.
_ON_39 = """
import importlib, pathlib, sys
sys.dont_write_bytecode = True
bad = 0
for name in sys.argv[2:]:
    try:
        compile(pathlib.Path(name).read_text(encoding="utf-8"), name, "exec")
    except SyntaxError as error:
        bad += 1
        print(f"{name}:{error.lineno}: {error.msg}")
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    module = ".".join(pathlib.Path(name).relative_to(sys.argv[1]).with_suffix("").parts)
    try:
        importlib.import_module(module.replace(".__init__", ""))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("xcomctl"):
            bad += 1
            print(f"{name}: {error}")
    except Exception as error:
        bad += 1
        print(f"{name}: {type(error).__name__}: {error}")
sys.exit(bad > 0)
"""


def steps(only: str | None = None) -> list[tuple[str, list[str]]]:
    """The commands, by name: all, or those of one part (``lint``, ``types``)."""
    below = [ROOT / "src" / "xcomctl" / name for name in BELOW_THE_LINE]
    folders = [str(folder.relative_to(ROOT)) for folder in below if any(folder.rglob("*.py"))]
    files = [str(path.relative_to(ROOT)) for folder in below for path in sorted(folder.rglob("*.py"))]
    lint = [
        ("ruff check", [str(BIN / "ruff"), "check", "--quiet"]),
        ("ruff format", [str(BIN / "ruff"), "format", "--check", "--quiet"]),
        ("vermin: Python 3.9 below the line",
         [str(BIN / "vermin"), "--quiet", "--violations", "--no-tips", "--target=3.9-", *folders]),
        ("import-linter", [str(BIN / "lint-imports")]),
    ]  # fmt: skip
    python39 = find_python39()
    if python39:
        lint.insert(3, ("Python 3.9 itself below the line", [python39, "-c", _ON_39, "src", *files]))
    types = [("mypy", [str(BIN / "mypy"), "--no-error-summary"])]
    return {"lint": lint, "types": types, None: lint + types}[only]


def find_python39() -> str | None:
    """A Python 3.9 that really starts, if this machine has one."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [os.environ.get("PYTHON39"), shutil.which("python3.9")]
    candidates += [str(path) for path in sorted(pyenv.glob("versions/3.9*/bin/python3.9"))]
    for candidate in filter(None, candidates):
        try:
            if subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
                return candidate
        except OSError:
            continue
    return None


def main() -> int:
    """Run the steps; 0 if all passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("lint", "types"), help="one part of it")
    failed = []
    only = parser.parse_args().only
    if only != "types" and find_python39() is None:
        print("skip Python 3.9 itself below the line: no python3.9 here (PYTHON39=PATH names one)")
    for name, command in steps(only):
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        print(f"{'ok  ' if run.returncode == 0 else 'FAIL'} {name}", flush=True)
        if run.returncode:
            failed.append(name)
            print((run.stdout + run.stderr).rstrip(), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
