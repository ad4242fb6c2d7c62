"""Which kill-switch is played, from where: what was asked for, what the journal tells, and what is recommended. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from xcomctl.errors import UserError
from xcomctl.model.killswitch import CONFIRM, Begun, Way
from xcomctl.model.killswitch_report import Recommendation, Sees, recommend
from xcomctl.model.phases import Phase
from xcomctl.model.transitions import HARD_KILLSWITCH_STARTS
from xcomctl.model.verdicts import Verdict


@dataclass(frozen=True)
class Decision:
    """``way`` is ``None`` where there is nothing to do. ``resumes`` is the one that is gone on with."""

    recommendation: Recommendation
    way: Way | None
    resumes: Begun | None = None


def decide(
    sees: Sees, begun: Begun | None, *, hard: bool, to_inline: bool = False, emergency: bool = False
) -> Decision:
    """The kill-switch to play. One that was begun is gone on with; ``hard`` begins a hard one after a soft one.

    ``to_inline`` goes on from ``dual-read``, and before that leads there as without it.

    In an ``emergency`` no context has to answer, nor any rollout be over: a release is rolled back by what its values say.

    Where every context is ``inline`` and no reader gets path strings, there is nothing to do, whatever is asked for.

    Raises :class:`~xcomctl.errors.UserError`: refused where soft would not help, where hard is no way from here, and where
    a hard one that was begun would have to pause everything again; inconclusive where not enough is seen.
    """
    found = recommend(sees)
    if begun is not None and begun.way is Way.EXIT and not to_inline:
        begun = None  # that way is gone on with only by whoever asks for inline
    confirmed = begun is not None and begun.way is Way.HARD and begun.done(CONFIRM) is not None
    if begun is not None and confirmed and not hard and not sees.resolves(Phase.INLINE):
        raise UserError(
            f"a hard kill-switch, begun at {begun.since}, has not ended, and not every context is inline any more",
            "xcomctl killswitch --abandon ends it; or xcomctl killswitch --hard plays it again, from the pause on",
            Verdict.REFUSED,
        )
    if begun is not None and (begun.way is Way.HARD or not hard):
        return Decision(found, begun.way, begun)
    if to_inline and not hard and sees.resolves(Phase.DUAL_READ):
        return Decision(found, Way.EXIT)
    # Nothing is to be done after a hard one that ended, by whoever calls again and cannot know.
    if hard and not (found.way is None and sees.worst is Phase.INLINE):
        beside_inline = sees.worst is Phase.INLINE and bool(sees.unimportable) and not sees.inline_alone
        if sees.worst not in HARD_KILLSWITCH_STARTS and not beside_inline:
            here = "no context answers" if sees.worst is None else f"from {sees.worst.value} it is no way"
            raise UserError(
                f"the hard kill-switch leads to inline: {here}", found.hint or _instead(sees), Verdict.REFUSED
            )
        return Decision(found, Way.HARD)
    if emergency and (sees.worst is None or (sees.rollouts and found.way is None)):
        return Decision(
            Recommendation(Way.SOFT.value, f"{found.because}; what the release's values say counts"), Way.SOFT
        )
    if found.way == Way.HARD.value:
        raise UserError(
            f"the soft kill-switch does not help: {found.because}", "xcomctl killswitch --hard", Verdict.REFUSED
        )
    if found.way is None and found.hint:
        refused = sees.worst is Phase.UNKNOWN or bool(sees.unimportable)
        verdict = Verdict.REFUSED if refused else Verdict.INCONCLUSIVE
        raise UserError(found.because, found.hint, verdict)
    return Decision(found, None if found.way is None else Way.SOFT)


def _instead(sees: Sees) -> str:
    if sees.handed_over:
        return "xcomctl retrigger"
    return "xcomctl killswitch" if sees.worst is Phase.INLINE else "xcomctl status"
