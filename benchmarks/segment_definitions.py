"""Twenty varied segments over the generated events, and one of them again as one would write it by hand."""

from __future__ import annotations

SEGMENTS = """\
segments:
  - name: vip
    where:
      all:
        - {goal: purchase, aggregate: sum, at_least: 500}
        - {goal: purchase, aggregate: orders, at_least: 3}
        - {goal: purchase, in_last: 30d}
  - name: at_risk
    where:
      all:
        - {goal: purchase, aggregate: sum, at_least: 300}
        - not: {goal: purchase, in_last: 14d}
  - {name: new_high, where: {goal: purchase, first: true, aggregate: sum, more_than: 200, in_last: 30d}}
  - name: abandoners
    where:
      event: checkout.started
      in_last: 24h
      where: {total: {gte: 50}}
      without: {event: order.completed, after: it}
  - name: abandoners_within
    where: {event: checkout.started, in_last: 7d, without: {event: order.completed, after: it, within: 2h}}
  - name: lapsed
    where:
      all:
        - not: {event: order.completed, in_last: 90d}
        - not: {any_event: [page.viewed, email.clicked], in_last: 30d}
        - {contact: age, at_least: 14d}
  - {name: never_bought, where: {goal: purchase, aggregate: count, at_most: 0}}
  - {name: browsers, where: {event: product.viewed, in_last: 7d, at_least: 3}}
  - {name: searchers, where: {event: search.performed, count: {between: [2, 10]}, in_last: 30d}}
  - {name: big_basket, where: {event: order.completed, where: {quantity: {gte: 2}, total: {gt: 100}}, in_last: 60d}}
  - {name: first_half, where: {goal: purchase, aggregate: avg, at_least: 120, between: [2026-01-01, 2026-01-15]}}
  - {name: dear_before, where: {goal: purchase, aggregate: max, at_least: 400, before: 2026-01-20}}
  - {name: anonymous_buyers, where: {all: [{contact: is_anonymous}, {goal: any}]}}
  - {name: champions, where: {rfm: Champions}}
  - {name: fresh_and_worthy, where: {all: [{rfm: r_score, at_least: 4}, {rfm: monetary, more_than: 200}]}}
  - {name: shoes, where: {event: product.viewed, where: {category: [shoes, jackets]}, in_last: 7d}}
  - name: replenish
    where:
      all:
        - {event: order.completed, where: {category: books}, in_last: 60d}
        - not: {event: order.completed, where: {category: books}, in_last: 30d}
  - {name: vip_browsers, where: {all: [{segment: vip}, {segment: browsers}]}}
  - {name: clickers_not_buyers, where: {all: [{event: email.clicked, in_last: 30d}, {segment: never_bought}]}}
  - {name: last_order_small, where: {all: [{goal: purchase, last: true, aggregate: sum, less_than: 20}, {contact: email}]}}
"""

BY_HAND = "at_risk"

BY_HAND_SQL = """
select count(*), min(contact_id, 10), (select count(*) from contacts) from (
    select contact_id
    from events
    where deletion <> 'deleted' and goal_type = 'purchase'
    group by contact_id
    having sum(value) filter (where currency = 'USD') >= 300 and max(occurred_at) <= $as_of - interval 14 day
)
"""
"""BY_HAND as of an instant, with the same three answers as a preview gives."""
