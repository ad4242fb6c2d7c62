"""A deployment: where it lives, the files that carry its settings, and how its contexts are reached."""
