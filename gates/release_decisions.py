"""What happens next to a release: values and a policy in, a step or nothing out. Pure.

Automation lowers or holds by itself; it raises only to a target that a person approved, or that the policy lets go by
evidence. Roll-backs are looked for first, in every state that may hold canary weight.
"""

import math

from gates.detectors.bank import Alarm
from gates.release_policy import ReleasePolicy, Stage
from gates.release_view import Act, Gate, Step, View
from gates.releases import WALKING, Cause, Pause, State, end_of
from routing.lease import LEASE_SECONDS

OUT_LOOKS = 2
SHARE_REQUESTS = 20  # fewer say nothing of a share
TOLERANCE_POINTS = 0.02
BAKE_DEADLINES = 6  # a bake must have its samples after that many progress deadlines
S = State


def decide(view: View, policy: ReleasePolicy) -> Step | None:
    """None: nothing to do now."""
    if view.state is S.ROLLING_BACK:
        return _rolled_back(view, policy)
    if view.state in WALKING and view.stage + view.target > 0:
        step = _must_go(view, policy) or _must_pause(view, policy)
        if step is not None:
            return step
    return _NEXT[view.state](view, policy) if view.state in _NEXT else None


def next_stage(policy: ReleasePolicy, weight: int) -> Stage | None:
    return next((stage for stage in policy.stages if stage.weight > weight), None)


def stage_of(policy: ReleasePolicy, weight: int) -> Stage | None:
    return next((stage for stage in policy.stages if stage.weight == weight), None)


# Why the canary has to go. The order is that of the certainty.


def _must_go(view: View, policy: ReleasePolicy) -> Step | None:
    found = _cause(view, policy)
    if found is None:
        return None
    cause, reason = found
    if view.baseline_out:
        reason += " The baseline is out of rotation too: this roll-back cannot help until it is back."
    return Step(after=S.ROLLING_BACK, reason=reason, act=Act.ZERO, cause=cause)


def _cause(view: View, policy: ReleasePolicy) -> tuple[Cause, str] | None:
    if not view.ours and view.weight == 0 and view.stage > 0:
        return Cause.BY_HAND, "Somebody took the canary's weight to 0 by hand."
    if view.weight == 0 and view.stage == 0:
        return None
    if view.tripped:
        return Cause.OUTAGE, f"A gateway took the canary out: {view.tripped}."
    if view.alarm is not None and view.alarm[0] is Alarm.BLAME:
        return Cause.BLAME, f"The canary is to blame for {view.alarm[1]}: more than its share of the bad requests."
    if view.alarm is not None and view.alarm[0] in {Alarm.PROTECT, Alarm.DRIFT}:
        return Cause.PROTECT, f"Users must be protected: {view.alarm[1]} of the canary are beyond the objective."
    if view.candidate_out >= OUT_LOOKS:
        return Cause.UNHEALTHY, "The candidate left rotation."
    if view.lease_age is not None and view.lease_age >= LEASE_SECONDS:
        return Cause.LEASE, f"Nobody watched for {view.lease_age:.0f} s; the gateways took the canary's weight back."
    if view.blind_for >= policy.blind_seconds:
        return Cause.BLIND, f"Outcomes could not be read for {view.blind_for:.0f} s."
    if view.state is S.SHIFTING and view.in_state >= policy.progress_seconds and view.assigned >= SHARE_REQUESTS:
        return Cause.PROGRESS, f"The share asked for was not observed within {policy.progress_seconds:.0f} s."
    return None


def _must_pause(view: View, policy: ReleasePolicy) -> Step | None:
    if view.state is S.PAUSED:
        return None
    if not view.ours and view.stage > 0:
        return _pause(Pause.OVERRIDE, "Somebody moved the weights by hand.")
    if view.blind > policy.blind_evaluations:
        return _pause(Pause.BLIND, f"Outcomes could not be read {view.blind} times in a row.")
    if view.alarm is not None and view.alarm[0] is Alarm.RATIO:
        return _pause(Pause.SRM, "More or fewer requests reach the canary than its share says.")
    if view.state in {S.SHIFTING, S.BAKING, S.PROMOTED} and view.idle_for >= policy.no_traffic_seconds:
        return _pause(Pause.NO_TRAFFIC, f"No request for {view.idle_for:.0f} s: no data is never a pass.")
    return None


def _pause(pause: Pause, reason: str) -> Step:
    return Step(after=S.PAUSED, reason=reason, pause=pause)


# The states one by one.


def _gating(view: View, policy: ReleasePolicy) -> Step | None:
    if view.gate is Gate.RUNNING:
        return None
    if view.gate is Gate.NOT_PASSED:
        return Step(after=S.HELD, reason=view.gate_words)
    if view.drift:
        return Step(after=S.HELD, reason=view.drift)
    return _towards(view, policy, policy.stages[0], passed=view.gate_words)


def _towards(view: View, policy: ReleasePolicy, stage: Stage, *, passed: str) -> Step:
    """Ask for the stage, or go there by evidence.

    Where no person is asked at all the gate's evidence has to be strong; where one was, the bake adds to it.
    """
    if stage.approval and not policy.auto_promote:
        return Step(after=S.AWAITING_APPROVAL, reason=passed, act=Act.ASK, target=stage.weight)
    unseen = policy.auto_promote or view.stage == 0
    if unseen and (view.weak or view.waived):
        why = "the evidence is thin or doubtful" if view.weak else "the gate was waived"
        if view.stage == 0:
            return Step(after=S.HELD, reason=f"{passed} It may not go by evidence alone: {why}.")
        return Step(after=S.AWAITING_APPROVAL, reason=f"{passed} A person decides: {why}.", act=Act.ASK,
                    target=stage.weight)  # fmt: skip
    return Step(after=S.APPROVED, reason=f"{passed} The policy lets it go by evidence.", target=stage.weight)


def _awaiting(view: View, _policy: ReleasePolicy) -> Step | None:
    if view.drift:
        return _stale(view)
    if not view.approval_expired:
        return None
    reason = "Nobody decided in time."
    if view.stage == 0:
        return Step(after=S.EXPIRED, reason=reason, act=Act.EXPIRE)
    return Step(after=S.PAUSED, reason=reason, act=Act.EXPIRE, pause=Pause.MANUAL)


def _stale(view: View) -> Step:
    if view.stage == 0:
        return Step(after=S.HELD, reason=view.drift, act=Act.VOID)
    return Step(after=S.PAUSED, reason=view.drift, act=Act.VOID, pause=Pause.INCONCLUSIVE)


def _approved(view: View, _policy: ReleasePolicy) -> Step | None:
    if view.drift:
        return _stale(view)
    if not view.route_free or view.cooling:
        return None
    return Step(after=S.SHIFTING, reason=f"The weight of {view.target} % is written.", act=Act.SHIFT)


def _shifting(view: View, _policy: ReleasePolicy) -> Step | None:
    if not view.acknowledged or view.assigned < SHARE_REQUESTS or not observed(view):
        return None
    share = f"Observed {100 * view.on_canary / view.assigned:.1f} % of {view.assigned} requests."
    return Step(after=S.PROMOTED if view.target == 100 else S.BAKING, reason=share)


def observed(view: View) -> bool:
    """The share seen is the share asked for, within two points or three standard errors."""
    asked = view.target / 100
    error = 3 * math.sqrt(asked * (1 - asked) / view.assigned)
    return view.on_canary > 0 and abs(view.on_canary / view.assigned - asked) <= max(TOLERANCE_POINTS, error)


def _baking(view: View, policy: ReleasePolicy) -> Step | None:
    stage, following = stage_of(policy, view.stage), next_stage(policy, view.stage)
    if stage is None or following is None:
        return _pause(Pause.INCONCLUSIVE, f"The policy has no stage after {view.stage} %.")
    if view.in_stage >= stage.dwell_seconds and view.samples >= stage.min_samples:
        return _towards(view, policy, following, passed=f"{view.samples} requests in {view.in_stage:.0f} s.")
    deadline = stage.dwell_seconds + BAKE_DEADLINES * policy.progress_seconds
    if view.in_stage >= deadline:
        return _pause(Pause.INCONCLUSIVE, f"Only {view.samples} of {stage.min_samples} requests in time.")
    return None


def _promoted(view: View, policy: ReleasePolicy) -> Step | None:
    last = policy.stages[-1]
    if view.in_stage < last.dwell_seconds or view.samples < last.min_samples:
        return None
    reason = f"The watch is over: {view.samples} requests in {view.in_stage:.0f} s."
    return Step(after=S.FINAL, reason=reason, act=Act.FINALISE)


def _paused(view: View, policy: ReleasePolicy) -> Step | None:
    """Only a pause for want of data ends by itself."""
    back = {
        Pause.NO_TRAFFIC: view.idle_for < policy.no_traffic_seconds,
        Pause.BLIND: view.blind == 0,
    }
    if view.resume_to is None or view.pause not in back or not back[view.pause] or not view.ours:
        return None
    return Step(after=view.resume_to, reason="Data is back.")


def _rolled_back(view: View, policy: ReleasePolicy) -> Step | None:
    """Done when nobody reached the canary for several looks and its streams ended or were cut."""
    if view.weight > 0:
        return Step(after=S.ROLLING_BACK, reason="The weight is above 0 again.", act=Act.ZERO, cause=view.cause)
    if not view.acknowledged or view.reached != 0 or view.clear_polls < policy.rollback_polls:
        return None
    if view.streams_open and view.in_state < policy.drain_seconds + 5:
        return None
    return Step(after=end_of(view.cause or Cause.ABORT), reason="No request reaches the canary.", act=Act.END)


_NEXT = {
    S.GATING: _gating,
    S.AWAITING_APPROVAL: _awaiting,
    S.APPROVED: _approved,
    S.SHIFTING: _shifting,
    S.BAKING: _baking,
    S.PAUSED: _paused,
    S.PROMOTED: _promoted,
}
