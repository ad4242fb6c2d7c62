"""``xcomctl status``: to be written."""

from __future__ import annotations

import argparse

NAME = "status"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    subparsers.add_parser(NAME, help="to be written")
