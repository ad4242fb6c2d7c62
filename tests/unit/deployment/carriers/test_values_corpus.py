"""Files as people have them, each with the difference that the flip to offload makes, or the sentence that refuses it.

``XCOMCTL_UPDATE_GOLDEN=1`` writes the expected ones anew: then read the diff.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest

from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.model.phases import Phase
from xcomctl.model.settings import SETTINGS, settings_for

CORPUS = Path(__file__).parents[3] / "data" / "values"
FILES = sorted(CORPUS.glob("*.yaml"))
WANTED = settings_for(Phase.OFFLOAD, "s3://xcom_s3@artifacts/xcom", 1_600_000)
#: What a line of a difference may be about.
_OURS = (*(setting.env for setting in SETTINGS), *(setting.key for setting in SETTINGS))


def edited(file: Path, **how: bool) -> str:
    """The exact difference, or how it was refused; misspelt names with the difference that corrects them."""
    misspelt = ""
    try:
        carrier = CarrierFiles((file,), **how).open()
        if misses := carrier.near_misses():
            misspelt = f"refused: misspelt {', '.join(miss.name for miss in misses)}\n"
        edit = carrier.fix() if misses else carrier.edit(WANTED)
    except CarrierError as error:
        return f"{misspelt}refused: {error.message}\n{error.hint}\n".replace(f"{CORPUS}{os.sep}", "")
    lines = difflib.diff_bytes(
        difflib.unified_diff, lines_of(edit.before), lines_of(edit.after), b"before", b"after", n=1, lineterm=b"\n"
    )
    shown = (line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in lines)
    return misspelt + b"".join(shown).decode()


def lines_of(content: bytes) -> list[bytes]:
    return [line + b"\n" for line in content.split(b"\n")[:-1]] + [line for line in content.split(b"\n")[-1:] if line]


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= 40
    assert {file.stem for file in FILES} == {file.stem for file in CORPUS.glob("*.diff")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_edit_is_the_expected_one(file: Path) -> None:
    expected = file.with_suffix(".diff")
    seen = edited(file)
    if not seen.startswith("refused: "):
        assert "@@" in seen
    else:
        winner = edited(file, edit_winner=True)
        seen = seen if winner == seen else f"{seen}--edit-winner:\n{winner}"
    if os.environ.get("XCOMCTL_UPDATE_GOLDEN"):
        expected.write_bytes(seen.encode())
    assert seen == expected.read_bytes().decode(), f"differs from {expected}; XCOMCTL_UPDATE_GOLDEN=1 writes it anew"


def edits() -> list[Path]:
    found = ((file, file.with_suffix(".diff")) for file in FILES)
    return [file for file, diff in found if diff.exists() and not diff.read_bytes().startswith(b"refused")]


@pytest.mark.parametrize("file", edits(), ids=lambda file: file.stem)
def test_it_says_what_was_wanted_and_nothing_else_changed(file: Path) -> None:
    carrier = CarrierFiles((file,)).open()
    edit = carrier.edit(WANTED)
    there = carrier.after(edit)
    assert {name: there.settings()[name] for name in WANTED} == WANTED
    assert not there.unfit() and not there.near_misses()
    assert not there.edit(WANTED).changes
    assert there.after(there.edit(WANTED).inverse()).edit({}).before == edit.after
    assert edit.inverse().after == file.read_bytes()
    former = [*carrier.settings().values(), "[]", "{}", *(f"{name}: 1" for name in _OURS), "value: 1"]
    for line in removed_lines(edit.before, edit.after):
        assert any(said in line for said in former), line


def restorable() -> list[Path]:
    """Those whose former values can be written back: a list that was begun is not ended again, nor a quote taken off."""
    carriers = {file: CarrierFiles((file,)).open() for file in edits()}
    return [file for file, carrier in carriers.items() if carrier.settings() and not carrier.unfit()]


@pytest.mark.parametrize("file", restorable(), ids=lambda file: file.stem)
def test_the_former_settings_restore_every_byte(file: Path) -> None:
    carrier = CarrierFiles((file,)).open()
    former = carrier.settings()
    there = carrier.after(carrier.edit(WANTED))
    edit = there.edit({name: former.get(name) for name in WANTED})
    there = there.after(edit)
    assert there.settings() == former
    if b"value: -1" not in file.read_bytes():  # quoted from then on
        assert edit.after.replace(b"  common.io: {}\n", b"") == file.read_bytes()  # a section that was begun stays


def removed_lines(before: bytes, after: bytes) -> list[str]:
    found = difflib.ndiff(before.decode().split("\n"), after.decode().split("\n"))
    return [line[2:] for line in found if line.startswith("- ")]
