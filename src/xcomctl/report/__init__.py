"""What a person or a machine gets to see: terminal, Markdown, HTML, files, and progress while it runs.

Nothing here decides anything. ``rich`` and ``jinja2`` are imported when a renderer is called, never when a module is.
"""
