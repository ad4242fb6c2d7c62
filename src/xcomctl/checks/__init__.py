"""Checks that a context is put through: one file per category, one function per check."""
