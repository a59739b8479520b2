"""Episodes: from observations to exactly one raise and one clear each.

An alert is raised when its condition has held for `for_seconds` of the rule without interruption,
and cleared when the opposite one has; between `clear_at` and `raise_at` nothing changes. None
interrupts whatever was about to happen and changes nothing else.

Three guards against storms. Hysteresis and `for_seconds` are the rule's. The third is ours: from
the fourth raise of one subject within ten minutes on, a clear must hold for two minutes, so that
whatever flaps raises at most eight times in any ten minutes.

The state lives as long as the process: after a restart a condition that holds is raised anew, as a
new episode; an episode of an older epoch without a clear ended with its process.
"""

from collections import deque
from collections.abc import Iterable
from math import isfinite

from volgauge.analytics.rules import Observation, in_words
from volgauge.domain.analytics import RAISED_BELOW, AlertEvent, Edge, Rule, Severity
from volgauge.domain.index import Source
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.settings import AlertSettings, RuleSettings

GONE_SECONDS = 300
"""A subject of which nothing at all is observed for this long is gone: its alert is cleared."""
FLAP_RAISES = 3
FLAP_WINDOW_SECONDS = 600
FLAP_CLEAR_SECONDS = 120
"""After FLAP_RAISES raises within the window the next clear must hold this long."""

_GONE_NS = GONE_SECONDS * NANOS_PER_SECOND
_FLAP_WINDOW_NS = FLAP_WINDOW_SECONDS * NANOS_PER_SECOND


class AlertBook:
    """Every subject that was observed, and which of them are in an episode."""

    def __init__(self, settings: AlertSettings, source: Source) -> None:
        self.counts: dict[tuple[Rule, Edge], int] = {
            (rule, edge): 0 for rule in Rule for edge in Edge
        }
        """Events so far."""
        self._source = source
        self._rules: dict[Rule, RuleSettings] = {
            rule: getattr(settings.rules, rule.value) for rule in Rule
        }
        self._enabled = {rule for rule in Rule if settings.enabled and self._rules[rule].enabled}
        self._subjects: dict[tuple[Rule, str], _Subject] = {}
        self._active: dict[tuple[Rule, str], _Subject] = {}
        self._tidied_ns = 0

    @property
    def active(self) -> tuple[AlertEvent, ...]:
        """The raise of every episode that is not over, oldest first."""
        return tuple(s.raised for s in self._active.values() if s.raised is not None)

    def observe(self, observations: Iterable[Observation], now_ns: int) -> list[AlertEvent]:
        """Take what the rules look at now; a subject may be left out of any number of calls.

        Args:
            observations: In any order; of disabled rules they are ignored.
            now_ns: UTC; never before that of the call before.

        Returns:
            The events of this instant, in the order of the observations; ends of what is gone last.
        """
        events: list[AlertEvent] = []
        for seen in observations:
            if seen.rule not in self._enabled:
                continue
            key = (seen.rule, seen.subject)
            subject = self._subjects.get(key)
            if subject is None:
                subject = self._subjects[key] = _Subject()
            edge = subject.step(seen, self._rules[seen.rule], now_ns)
            if edge is Edge.RAISED:
                events.append(self._raise(subject, seen, now_ns))
                self._active[key] = subject
            elif edge is Edge.CLEARED:
                words = f"{seen.subject}: {seen.context}"
                threshold = self._rules[seen.rule].clear_at
                events.append(self._clear(key, words, seen.value, threshold, now_ns))
        for key in [k for k, s in self._active.items() if now_ns - s.seen_ns >= _GONE_NS]:
            words = f"{key[1]}: nothing was observed of it for {in_words(GONE_SECONDS)}"
            events.append(self._clear(key, words, None, None, now_ns))
        self._tidy(now_ns)
        return events

    def _raise(self, subject: "_Subject", seen: Observation, now_ns: int) -> AlertEvent:
        settings = self._rules[seen.rule]
        message = f"{seen.subject}: {seen.context}"
        if subject.note_raise(settings, now_ns):
            message += f"; it flaps, so the end must hold for {in_words(FLAP_CLEAR_SECONDS)}"
        subject.raised = AlertEvent(
            asset=seen.asset,
            rule=seen.rule,
            subject=seen.subject,
            episode=f"{seen.rule.value}:{seen.subject}:{now_ns}",
            edge=Edge.RAISED,
            severity=Severity(settings.severity),
            value=seen.value,
            threshold=settings.raise_at,
            message=message,
            raised_ns=now_ns,
            computed_ns=now_ns,
            source=self._source,
        )
        self.counts[seen.rule, Edge.RAISED] += 1
        return subject.raised

    def _clear(
        self,
        key: tuple[Rule, str],
        words: str,
        value: float | None,
        threshold: float | None,
        now_ns: int,
    ) -> AlertEvent:
        subject = self._active.pop(key)
        raised = subject.raised
        if raised is None:
            raise AssertionError(f"expected {key} to be raised")
        subject.raised = subject.since_ns = None
        self.counts[raised.rule, Edge.CLEARED] += 1
        lasted = in_words((now_ns - raised.raised_ns) / NANOS_PER_SECOND)
        return AlertEvent(
            asset=Asset(raised.asset),
            rule=raised.rule,
            subject=raised.subject,
            episode=raised.episode,
            edge=Edge.CLEARED,
            severity=raised.severity,
            value=value,
            threshold=threshold,
            message=f"{words}; over after {lasted}",
            raised_ns=raised.raised_ns,
            cleared_ns=now_ns,
            computed_ns=now_ns,
            source=self._source,
        )

    def _tidy(self, now_ns: int) -> None:
        """Forget subjects of which nothing counts any more; memory stays bounded."""
        if now_ns - self._tidied_ns < _FLAP_WINDOW_NS:
            return
        self._tidied_ns = now_ns
        for key in [
            key
            for key, subject in self._subjects.items()
            if subject.raised is None and now_ns - subject.seen_ns >= _FLAP_WINDOW_NS
        ]:
            del self._subjects[key]


class _Subject:
    """One rule's view of one subject."""

    __slots__ = ("_clear_ns", "_raises", "raised", "seen_ns", "since_ns")

    def __init__(self) -> None:
        self.raised: AlertEvent | None = None
        """The episode's first event, while there is one."""
        self.seen_ns = 0
        self.since_ns: int | None = None
        """Since when the condition for the next edge holds."""
        self._clear_ns = 0
        """How long a clear must hold in this episode."""
        self._raises: deque[int] = deque(maxlen=FLAP_RAISES + 1)

    def step(self, seen: Observation, settings: RuleSettings, now_ns: int) -> Edge | None:
        """The edge that is due now."""
        if self.since_ns is not None and now_ns - self.seen_ns >= _GONE_NS:
            # Unobserved that long is not "without interruption".
            self.since_ns = None
        self.seen_ns = now_ns
        value = seen.value
        if value is None or not isfinite(value):
            self.since_ns = None
            return None
        below = seen.rule in RAISED_BELOW
        if self.raised is None:
            edge, needed_ns = Edge.RAISED, round(settings.for_seconds * NANOS_PER_SECOND)
            holds = value < settings.raise_at if below else value >= settings.raise_at
        else:
            edge, needed_ns = Edge.CLEARED, self._clear_ns
            holds = value >= settings.clear_at if below else value <= settings.clear_at
        if not holds:
            self.since_ns = None
            return None
        if self.since_ns is None:
            self.since_ns = now_ns
        return edge if now_ns - self.since_ns >= needed_ns else None

    def note_raise(self, settings: RuleSettings, now_ns: int) -> bool:
        """Begin an episode; True when the subject flaps."""
        self.since_ns = None
        self._raises.append(now_ns)
        flaps = len(self._raises) > FLAP_RAISES and now_ns - self._raises[0] < _FLAP_WINDOW_NS
        least = FLAP_CLEAR_SECONDS if flaps else 0
        self._clear_ns = round(max(settings.for_seconds, least) * NANOS_PER_SECOND)
        return flaps
