"""Clients of services that a deployment has: one file each."""
