"""The journal: what was done, appended and flushed to disk step by step, never rewritten."""
