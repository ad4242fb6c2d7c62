"""objects: what lies in the store under the base path."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext
from xcomctl.agent.requests.common import base_path_of
from xcomctl.airflow_compat import loading
from xcomctl.metadata.xcoms import iso
from xcomctl.model.requests import ObjectItem, ObjectsAnswer
from xcomctl.store.listing import Listing

PROGRESS_EVERY = 1000


def run(context: RequestContext) -> ObjectsAnswer:
    """Answer the request."""
    loading.airflow()
    listing = Listing(base_path_of(context), context.text("under") or "")
    objects = size = 0
    for found in listing:
        objects += 1
        size += found.size
        context.emit(ObjectItem(found.uri, found.size, iso(found.modified)))
        if objects % PROGRESS_EVERY == 0:
            context.progress("objects", done=objects)
    return ObjectsAnswer(objects, size, listing.base_path, listing.requests)
