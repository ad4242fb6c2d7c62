"""``xcomctl completion``: the shell code that makes the tab key work."""

from __future__ import annotations

import argparse

NAME = "completion"
SHELLS = ("bash", "zsh", "fish")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="shell code for tab completion",
        description="Prints shell code for tab completion.",
        epilog='bash, zsh: eval "$(xcomctl completion bash)" · fish: xcomctl completion fish | source',
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that will read it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["xcomctl"], shell=args.shell))
    return 0
