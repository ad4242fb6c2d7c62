"""The row of the screen about the carrier: what it says, beside what the contexts resolve."""

from __future__ import annotations

from collections.abc import Mapping

from xcomctl.assess.status_rows import row
from xcomctl.deployment.carriers.interface import Carrier, CarrierError
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.model.phases import Line
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
    phase = found.phase(line)
    says = phase.value
    wrong = [f"{printable(miss.name)} ({miss.reason})" for miss in found.near_misses()]
    wrong += found.unfit().values()
    if wrong:
        detail = f"{found.shown} says {says}; {'; '.join(wrong)}"
        return row("carrier", CONTEXTS, Status.WARN, detail, _mended(found, line, f"{files.options}{options}"))
    behind = [
        f"{name} resolves {each.resolution.phase}" for name, each in seen.items() if each.resolution.phase != says
    ]
    said = "; ".join([f"{found.shown} says {says}", *behind, *found.notes()])
    if behind or found.notes():
        wait = f"xcomctl wait --to {says}{options}" if behind and phase.is_target else ""
        return row("carrier", CONTEXTS, Status.WARN, said, wait)
    return row("carrier", CONTEXTS, Status.OK, said)


def _mended(found: Carrier, line: Line, options: str) -> str:
    """The command that writes what is meant, if that is a phase to go to; else what to write, and where."""
    try:
        phase = found.after(found.fix()).phase(line)
    except CarrierError as error:
        return printable(f"{error.message}: {error.hint}")
    if phase.is_target:
        return f"xcomctl flip --to {phase.value} --fix{options}"
    return printable("; ".join(found.corrections()))
