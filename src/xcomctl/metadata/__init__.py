"""The metadata database through SQLAlchemy Core, 1.4 and 2.x. Read-only: our own writes are in ``rehydrate`` alone."""
