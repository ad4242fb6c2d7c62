"""The row of the screen about the carrier: what it says, beside what the contexts resolve."""

from __future__ import annotations

from collections.abc import Mapping

from xcomctl.assess.status_rows import row
from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.model.phases import Line, phase_of
from xcomctl.model.settings import settings_of
from xcomctl.model.status import CONTEXTS, StatusAnswer
from xcomctl.model.verdicts import Check, Status
from xcomctl.report.text import printable


def carrier(files: CarrierFiles, answers: Mapping[str, StatusAnswer | None], options: str) -> Check:
    """What the carrier says: a warning where it is not what every context resolves, or does not arrive as it stands."""
    try:
        found = files.open()
    except CarrierError as error:
        return row("carrier", CONTEXTS, Status.SKIP, printable(error.message), printable(error.hint))
    seen = {name: answer for name, answer in answers.items() if answer is not None}
    if not seen:
        return row(
            "carrier", CONTEXTS, Status.SKIP, f"{found.shown}: no context answers, so the line of Airflow is not known"
        )
    line = Line(next(iter(seen.values())).line)
    says = phase_of(settings_of(found.settings(), line)).phase.value
    fix = f"xcomctl flip --to {says} --fix{files.options}{options}"
    wrong = [f"{printable(miss.name)} ({miss.reason})" for miss in found.near_misses()]
    wrong += found.unfit().values()
    if wrong:
        return row("carrier", CONTEXTS, Status.WARN, f"{found.shown} says {says}; {'; '.join(wrong)}", fix)
    behind = [
        f"{name} resolves {each.resolution.phase}" for name, each in seen.items() if each.resolution.phase != says
    ]
    said = "; ".join([f"{found.shown} says {says}", *behind, *found.notes()])
    if behind or found.notes():
        return row("carrier", CONTEXTS, Status.WARN, said, f"xcomctl wait --to {says}{options}" if behind else "")
    return row("carrier", CONTEXTS, Status.OK, said)
