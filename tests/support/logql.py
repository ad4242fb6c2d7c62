"""Grafana's own grammar of LogQL (``make envs`` puts it into ``.venv/logql``), asked through Node.js."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_FOLDER = Path(sys.prefix) / "logql"
_PARSE = """
const { parser } = await import(process.argv[1]);
let text = "";
for await (const chunk of process.stdin) text += chunk;
const found = JSON.parse(text).map((query) => {
  const errors = [];
  parser.parse(query).iterate({ enter: (node) => { if (node.type.isError) errors.push(node.from); } });
  return errors;
});
process.stdout.write(JSON.stringify(found));
"""


def errors_of(queries: Sequence[str]) -> list[list[int]]:
    """For each query the places (in UTF-16 units) where the grammar does not know on; empty for one that it takes."""
    grammar = _FOLDER / "node_modules" / "@grafana" / "lezer-logql" / "index.es.js"
    node = shutil.which("node", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    assert node is not None and grammar.is_file(), f"there is no grammar of LogQL in {_FOLDER}; run: make envs"
    done = subprocess.run(
        [node, "--input-type=module", "-e", _PARSE, grammar.as_uri()],
        input=json.dumps(list(queries)), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[list[int]] = json.loads(done.stdout)
    return found
