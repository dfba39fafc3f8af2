"""What a run must find in the files, counted while they are written: from the story, never from the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from eventpipe.sample.contacts import Contacts
from eventpipe.sample.report import Event, Report, Version, Who
from eventpipe.sample.request import SampleSummary, SourceSummary
from eventpipe.sample.telling import DAY, Landing

Money = tuple[int, str]


@dataclass(slots=True)
class _Versions:
    """An event of which several versions were sent: the newest, and whether it is deleted at the end."""

    newest: Report
    deleted: bool = False


@dataclass
class _Account:
    """What one source has told so far."""

    accepted: int = 0
    rejected: int = 0
    blank: int = 0
    files: int = 0
    duplicates: int = 0
    late: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    mistakes: Counter[str] = field(default_factory=Counter)
    versions: Counter[Version] = field(default_factory=Counter)
    seen: dict[Who, int] = field(default_factory=dict)
    orders: dict[str, Money] = field(default_factory=dict)
    refunds: Counter[str] = field(default_factory=Counter)
    versioned: dict[tuple[Event, str | None], _Versions] = field(default_factory=dict)

    def note(self, report: Report) -> None:
        """A live event: who it is about, and the money in it."""
        earlier = self.seen.get(report.who)
        if earlier is None or report.at < earlier:
            self.seen[report.who] = report.at
        basket = report.basket
        if basket is None or basket.cents is None or basket.order_id is None:
            return
        if report.event is Event.ORDER_COMPLETED:
            self.orders[basket.order_id] = (basket.cents, basket.currency)
        elif report.event is Event.ORDER_REFUNDED:
            self.refunds[basket.currency] += basket.cents

    def note_version(self, report: Report) -> None:
        """Newest `occurred_at` wins, an equal one changes nothing; deletion follows the order of landing."""
        current = self.versioned.get((report.event, report.key))
        if current is None:
            current = self.versioned[(report.event, report.key)] = _Versions(report)
        elif report.at > current.newest.at:
            current.newest = report
        if report.version is Version.DELETE:
            current.deleted = True
        elif report.version is Version.RESTORE:
            current.deleted = False


class Expectations:
    """Takes the landings in the order in which they land, and sums them up at the end."""

    def __init__(self, sources: tuple[str, ...], opens_at: int) -> None:
        self._accounts = {source: _Account() for source in sources}
        self._opens_at = opens_at

    def expect(self, landing: Landing) -> None:
        report = landing.report
        account = self._accounts[report.source]
        if landing.mistake is not None:
            account.rejected += 1
            account.reasons.update(landing.mistake.reasons)
            account.mistakes[landing.mistake.name] += 1
            return
        account.accepted += 1
        account.late += (report.at - self._opens_at) // DAY < landing.day
        if landing.is_repeat:
            account.duplicates += 1
            return
        account.versions[report.version] += 1
        if report.versioned:
            account.note_version(report)
        else:
            account.note(report)

    def expect_files(self, source: str, files: int, blank: int) -> None:
        self._accounts[source].files += files
        self._accounts[source].blank += blank

    def summary(self) -> SampleSummary:
        """Call once, when everything has landed."""
        for account in self._accounts.values():
            for versions in account.versioned.values():
                if not versions.deleted:
                    account.note(versions.newest)
        first_seen: dict[Who, int] = {}
        for account in self._accounts.values():
            for who, at in account.seen.items():
                first_seen[who] = min(at, first_seen.get(who, at))
        contacts = Contacts(first_seen)
        sources = {source: _source_summary(account, contacts) for source, account in self._accounts.items()}
        parts = sources.values()
        orders: dict[str, Money] = {}
        refunds: Counter[str] = Counter()
        for account in self._accounts.values():
            orders |= account.orders
            refunds.update(account.refunds)
        return SampleSummary(
            events=sum(part.expected_accepted + part.rejected_lines for part in parts),
            files=sum(part.files for part in parts),
            lines=sum(part.lines for part in parts),
            expected_accepted=sum(part.expected_accepted for part in parts),
            rejected_lines=sum(part.rejected_lines for part in parts),
            blank=sum(part.blank for part in parts),
            expected_rejected=_added_up(part.expected_rejected for part in parts),
            bad_lines=_added_up(part.bad_lines for part in parts),
            duplicates=sum(part.duplicates for part in parts),
            late=sum(part.late for part in parts),
            contacts=len(contacts),
            known_contacts=contacts.known,
            identity_conflicts=len(contacts.conflicts),
            orders=len(orders),
            orders_reported_twice=_reported_twice(self._accounts),
            gross=_gross(orders),
            refunds=_money(refunds),
            anonymous_became_known=len(_became_known(first_seen, contacts)),
            sources=sources,
        )


def _source_summary(account: _Account, contacts: Contacts) -> SourceSummary:
    return SourceSummary(
        files=account.files,
        lines=account.accepted + account.rejected + account.blank,
        expected_accepted=account.accepted,
        rejected_lines=account.rejected,
        blank=account.blank,
        expected_rejected=dict(sorted(account.reasons.items())),
        bad_lines=dict(sorted(account.mistakes.items())),
        duplicates=account.duplicates,
        updates=account.versions[Version.UPDATE],
        stale=account.versions[Version.STALE],
        deletions=account.versions[Version.DELETE],
        restorations=account.versions[Version.RESTORE],
        late=account.late,
        contacts=len({contacts.of(who) for who in account.seen}),
        orders=len(account.orders),
        gross=_gross(account.orders),
        refunds=_money(account.refunds),
        anonymous_became_known=len(_became_known(account.seen, contacts)),
    )


def _became_known(seen: Iterable[Who], contacts: Contacts) -> set[str]:
    """Anonymous ids that came alone in some event, and belong to somebody known."""
    alone = {who.anonymous_id for who in seen if not who.is_known and who.anonymous_id is not None}
    return {anonymous_id for anonymous_id in alone if contacts.is_known(anonymous_id)}


def _reported_twice(accounts: Mapping[str, _Account]) -> int:
    reports = Counter(order_id for account in accounts.values() for order_id in account.orders)
    return sum(1 for count in reports.values() if count > 1)


def _gross(orders: Mapping[str, Money]) -> dict[str, Decimal]:
    sums: Counter[str] = Counter()
    for cents, currency in orders.values():
        sums[currency] += cents
    return _money(sums)


def _money(cents: Mapping[str, int]) -> dict[str, Decimal]:
    return {currency: Decimal(amount).scaleb(-2) for currency, amount in sorted(cents.items())}


def _added_up(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in counts:
        total.update(part)
    return dict(sorted(total.items()))
