"""Writes what references point to back into their rows, so that no reader needs the store any more (DESIGN §3)."""
