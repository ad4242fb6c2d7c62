"""A difference as the probe tells it: in which corpus, on which way, for which reason."""

from __future__ import annotations

import ast
import json

from xcomctl.model.probe import ProbeDifference
from xcomctl.model.requests import Difference
from xcomctl.roundtrip import defects


def told(corpus: str, way: str, each: Difference, step: str = "") -> ProbeDifference:
    """A difference with what is known of its reason."""
    defect = None if each.defect is None else defects.by_name(each.defect, each.kind)
    shown = quoted(each.excerpt)
    sentence = each.sentence
    if sentence.startswith(each.excerpt):
        sentence = shown + sentence[len(each.excerpt) :]
    return ProbeDifference(
        corpus=corpus,
        way=way,
        value_id=each.value_id,
        excerpt=shown,
        base=each.base,
        got=each.got,
        sentence=sentence,
        defect=each.defect,
        because=defect.short if defect is not None else "",
        hint=f"{defect.id}: {defect.hint}" if defect is not None else "",
        step=step,
    )


def quoted(excerpt: str) -> str:
    """A text's ``repr`` in double quotes, as it stands in JSON; anything else as it is."""
    if not excerpt.startswith(("'", '"')):
        return excerpt
    try:
        text = ast.literal_eval(excerpt)
    except (ValueError, SyntaxError):
        return excerpt  # it was cut
    return json.dumps(text, ensure_ascii=not text.isprintable()) if isinstance(text, str) else excerpt
