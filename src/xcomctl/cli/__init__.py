"""The command line: one file per command, each with arguments, a call and its rendering. No logic."""
