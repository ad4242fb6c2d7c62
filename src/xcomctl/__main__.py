"""``python -m xcomctl``: the same as the console script."""

from __future__ import annotations

from xcomctl.cli.main import entry

if __name__ == "__main__":
    entry()
