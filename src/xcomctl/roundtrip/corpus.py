"""The values: the samples of :mod:`xcomctl.model.transitions`, by the name of their form."""

from __future__ import annotations

from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.airflow_compat.paths import object_path
from xcomctl.model.transitions import Sample, ValueForm, sample

#: Every value's id.
VALUE_IDS = tuple(form.value for form in ValueForm)


def value_of(value_id: str, base_path: str, threshold: int) -> Sample:
    """The sample of a form for a base path and a threshold; an unknown id is refused with a sentence."""
    try:
        form = ValueForm(value_id)
    except ValueError:
        raise AirflowUnusable(f"there is no value {value_id!r}; there are {', '.join(VALUE_IDS)}") from None
    try:
        return sample(form, base_path, threshold)
    except ValueError as error:
        raise AirflowUnusable(f"{error}") from error


def place_objects(chosen: Sample) -> None:
    """Write the objects that have to be there before the value is read: a task's own files."""
    for uri, content in chosen.objects.items():
        path = object_path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(content)
