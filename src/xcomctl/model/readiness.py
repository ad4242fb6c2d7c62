"""What a rehearsal and a pre-flight have to be, so that a step up and a decision may rest on them."""

from __future__ import annotations

from xcomctl.model.verdicts import Verdict

#: How old they may be.
MAX_AGE_DAYS = 7
#: What a rehearsal has to have played: what a bare revert breaks, and the way up and down that breaks nothing.
REQUIRED = ("runbook", "soft")
#: A warning is no failure, unless whoever asked wanted it to be one.
PASSED = (Verdict.OK.value, Verdict.WARNINGS.value)
