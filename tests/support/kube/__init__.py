"""A Kubernetes API server for tests, made for the real ``kubectl`` and ``helm``; its pods are processes on this machine."""
