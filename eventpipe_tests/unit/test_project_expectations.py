"""expectations.yml: read, and each mistake told with its line before anything is read."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from eventpipe.audit import contacts, drift, exports
from eventpipe.audit.freshness import FRESHNESS
from eventpipe.errors import ConfigurationError
from eventpipe.project.audit_rules import AuditRules, Severities, default_rules
from eventpipe.project.starter import create_project
from eventpipe_tests import builders


def rules(folder: Path, text: str) -> AuditRules:
    """What a project with the sources web and crm takes from the file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "expectations.yml").write_text(text, encoding="utf-8")
    return builders.project(folder, sources={"web": "canonical", "crm": "canonical"}).audit


def one(rest: str) -> str:
    """A file with one expectation: `rest` follows its name, on line 3 and on."""
    return "expectations:\n  - name: a\n" + "".join(f"    {line}\n" for line in rest.splitlines())


BETWEEN = "of: event_profile\nexpect: column_values_to_be_between\ncolumn: reject_rate\n"


def test_without_the_file_a_project_has_the_one_that_init_writes(tmp_path: Path) -> None:
    created = create_project(tmp_path / "shop")
    assert tmp_path / "shop" / "expectations.yml" in created
    written = (tmp_path / "shop" / "expectations.yml").read_text()
    assert builders.project(tmp_path / "none").audit == rules(tmp_path / "same", written) == default_rules()
    assert {each.severity for each in default_rules().expectations} == {"error", "warn"}


def test_everything_that_can_be_said_is_read(tmp_path: Path) -> None:
    found = rules(
        tmp_path,
        one(BETWEEN + "max_value: 0.5\nmostly: 0.9\nwhere: {source: [web, crm]}\nat_least: 7\nseverity: error")
        + """
sample_rows: 0
data_docs: false
volume:
  events: {order.completed: hold}
  incidents: [{first: 2026-11-27, last: 2026-11-30, source: crm}]
freshness: {max_age: 2d, sources: {crm: 7d}}
severity: {few_contacts_merge: error, freshness: ignore}
""",
    )
    [expectation] = found.expectations
    assert (expectation.max_value, expectation.mostly, expectation.at_least) == (0.5, 0.9, 7)
    assert expectation.where == {"source": ("web", "crm")}
    assert found.volume.events == {"order.completed": "hold"}
    assert found.volume.incidents[0].last == date(2026, 11, 30)
    assert (found.freshness.max_age, found.freshness.sources["crm"]) == (timedelta(days=2), timedelta(days=7))
    weights = [found.severity.of(check) for check in ("few_contacts_merge", "freshness", "orders_have_one_contact")]
    assert weights == ["error", "ignore", "warn"]


def test_severity_knows_every_check_of_our_own() -> None:
    assert set(Severities.model_fields) == {FRESHNESS, *exports.CHECKS, *drift.CHECKS, *contacts.CHECKS}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("expectation: []\n", "expectations.yml:1: expectation: unknown key; did you mean 'expectations'?"),
        (one(BETWEEN + "maximum: 1"), "expectations.yml:6: expectations.0.maximum: unknown key"),
        (
            one("of: event_profil\nexpect: column_values_to_not_be_null\ncolumn: lines"),
            "expectations.yml:3: expectations.0.of: 'event_profil' is not accepted; did you mean 'event_profile'?",
        ),
        (
            one("of: event_profile\nexpect: expect_column_values_to_be_null\ncolumn: lines"),
            "expectations.yml:4: expectations.0.expect: 'expect_column_values_to_be_null' is not accepted; did you mean",
        ),
        (
            one("of: event_profile\nexpect: column_values_to_not_be_null\ncolumn: rejectrate"),
            "expectations.yml:5: expectations.0.column: 'rejectrate' is not a column of event_profile; did you mean "
            "'reject_rate'?",
        ),
        (
            one("of: event_profile\nexpect: column_values_to_not_be_null\ncolumn: lines\nwhere: {currency: USD}"),
            "expectations.yml:6: expectations.0.where.currency: 'currency' is not a column of event_profile",
        ),
        (one(BETWEEN), "expectations.yml:2: expectations.0: column_values_to_be_between needs min_value, max_value"),
        (
            one("of: event_profile\nexpect: column_values_to_be_in_set\ncolumn: source"),
            "expectations.0: column_values_to_be_in_set needs value_set",
        ),
        (
            one(BETWEEN + "max_value: 1\nregex: a"),
            "expectations.yml:7: expectations.0.regex: says nothing to column_values_to_be_between: drop it",
        ),
        (
            one("of: event_sample\nexpect: column_values_to_match_regex\ncolumn: currency\nregex: '('"),
            "expectations.yml:6: expectations.0.regex: '(' is not a regular expression",
        ),
        (
            one("of: event_sample\nexpect: column_values_to_not_be_null\ncolumn: kind\nat_least: 5"),
            "expectations.yml:6: expectations.0.at_least: counts in a profile, and event_sample is none",
        ),
        (one(BETWEEN + "max_value: half"), "expectations.yml:6: expectations.0.max_value: 'half' is not"),
        (one(BETWEEN + "max_value: 1\nmostly: 1.5"), "expectations.yml:7: expectations.0.mostly: "),
        (one(BETWEEN + "max_value: 1\nseverity: fatal"), "'fatal' is not accepted. Accepted: error, warn"),
        (one(BETWEEN + "max_value: 1").replace("name: a", "name: Too Many"), "'Too Many' is not a name for a check"),
        (
            one(BETWEEN + "max_value: 1") + one(BETWEEN + "max_value: 2").removeprefix("expectations:\n"),
            "expectations.yml:7: expectations.1.name: 'a' is the name of two checks: choose another",
        ),
        ("volume: {on_breach: stop}\n", "expectations.yml:1: volume.on_breach: 'stop' is not accepted"),
        ("volume: {sensitivity: 1}\n", "expectations.yml:1: volume.sensitivity: "),
        (
            "volume:\n  incidents:\n    - {first: 2026-03-02, last: 2026-03-01}\n",
            "expectations.yml:3: volume.incidents.0: has no day: its first lies after its last",
        ),
        (
            "volume:\n  incidents:\n    - {first: 2026-03-02, last: 2026-03-02, source: wbe}\n",
            "volume.incidents.0.source: 'wbe' is not a source of eventpipe.yml; did you mean 'web'?",
        ),
        (
            "freshness:\n  sources: {cmr: 7d}\n",
            "expectations.yml:2: freshness.sources.cmr: 'cmr' is not a source of eventpipe.yml; did you mean 'crm'?",
        ),
        ("freshness: {max_age: soon}\n", "expectations.yml:1: freshness.max_age: 'soon' is not"),
        ("severity: {freshness: fatal}\n", "expectations.yml:1: severity.freshness: 'fatal' is not accepted"),
        ("severity: {fresness: error}\n", "severity.fresness: unknown key; did you mean 'freshness'?"),
        (
            one("of: event_sample\nexpect: column_values_to_be_in_set\ncolumn: kind\nvalue_set: [[1]]"),
            "expectations.yml:6: expectations.0.value_set.0: a list is not ",
        ),
        (one(BETWEEN + "max_value: 1\nwhere: {source: {a: b}}"), "expectations.0.where.source: a mapping is not "),
        ("expectations: [\n", "expectations.yml:"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_read(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        rules(tmp_path, text)
    assert expected in str(refused.value)
    assert len(refused.value.problems) == 1, "one mistake is told once"
