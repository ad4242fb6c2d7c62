"""Ways to start a Python inside a context; one interface, one file each."""
