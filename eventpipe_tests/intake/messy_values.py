"""Values as messy as those of real exports, and the shapes of the records that they stand in, by source. JSON, read with the
digits of its numbers.

A shape gives each field a pool, the shape of an object, `=` for random properties, or `=` and what it always says; a field
with `?` is there half the time, with `??` seldom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventpipe_tests.intake.reference.values import load

NOTHING = (None, "", " ", "\t")
NO_EVENTS = (
    b"",
    b"  ",
    b"{",
    b'"text"',
    b"[1]",
    b"\xff{}",
    b'{"a": NaN}',
    b'{"a": "\\u0000"}',
    b'{"a":1,"a":2}',
    b"null",
)

POOLS: Mapping[str, list[Any]] = load(r"""{
"id": ["c1", "c2", "c3", " c1", "c2\u00a0", "\tC1", 17, "17", "0017", 12345678901234567890, "guest", "-1", "NULL"],
"device": ["a1", "a2", " a1", "undefined"],
"email": ["ann@example.com", " Ann@Example.COM", "jose\u0301@example.com", "b@c", "x,y@z.co", "noreply@a.co"],
"phone": ["+41 79 123 45 67", "+41791234567", "020 7946 0018", "tel:+1-201-555-0123", "call me", "+41", 41791234567],
"drawn": [" Ann@Example.com", "+41791234567", "cus_1"],
"key": ["k1", "k2", "k3", " k1", "undefined"],
"name": ["order.completed", " order.completed", "Order Completed", "page.seen", "joined", "Page Seen", "\u00dcBER \u2603",

 "ééééééééééééééééééééééééééééééééééééééééééééééééééé", "",
 "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789"],
"kind": ["identify", "Alias", "page", "sale"],
"when": ["2026-01-05T10:00:00Z", "2026-01-05T10:00:00.123456789+01:00", "2026-01-05 23:30", "2026-01-04", 1767607200,
 "2026-03-29 01:30:00", "2025-10-26T01:30:00", "1767607200123", 1767607200.25, "1767607200123456", "2026-01-05t10:00:00z",
 "2026-01-05T10:00:00 +05:30", "2026-01-05T10:00:00,5Z", "2026-01-01T00:00:00Z", "2026-01-02", "2026-01-03T12:00+0100",
 "2026-01-05T24:00:00Z", "2026-02-30", "yesterday", "1989-12-31T23:59:59Z", "2026-01-07T00:00:00Z", "2036-01-01", true],
"gone": ["2026-01-05T10:00:00Z", "2026-01-06", null, "", "soon"],
"day": ["05.01.2026", "31.02.2026", "5 January", "04.01.2026"],
"amount": [12.5, 0, -4.25, "149.99995", "-0.00005", " 7 ", "1e3", "+5", ".5", "5.", "007", "12,50", "n/a", "NaN", 1e999, 1E3,
 "1_000", 99999999999999.99995, 12345678901.1234, true, [1], {}, "$5"],
"currency": ["EUR", "eur", " gbp ", "US$", "EURO", "XXQ", 978, "JPY"],
"goal": ["purchase", "subscription", "lead", " signup", "sale", "Purchase"],
"anything": ["a", "", " ", "2026-01-05", "2026-02-30", "05.01.2026", "true", "False", 7, 7.5, 0, true, false, null, [],
 ["a", 1], {}, {"city": null, "zip": {"code": 0}}, "[\"a\", 1]", "{\"a\": {\"b\": null}}", "{", "[1,]"],
"extra": [{"zero": 0}, [0, null, ""], "text", "{\"a\": 1}"],
"order": ["o1", "o2", 3, "[object Object]"],
"total": [5, 7.25],
"items": [[]],
"user": [{"id": "c1", "email": "ann@example.com", "age": 7}, {"id": 17}, "Ann", null, []],
"item": [{"price": "1.10", "size": "XL"}, {"price": 2.5}, {"price": "x"}, 5, {}],
"cart": [{"id": "o1", "n": 2}, {"id": 17}, {}, "o1"],
"blob": ["{\"id\": 17, \"x\": null}", {"id": "c8"}],
"group": ["CART", "Page", "merge", "identify"],
"step": ["left", "seen"],
"count": ["3", "-1", "0.5", "x", " 2", "250", "99999999999999"],
"note": ["two\nlines", "a \"quote\"", "=cmd()", "null"],
"hits": [[], [{"name": "a"}, {"key": "k1", "name": "order.completed", "total": 5}, {}], [7, {"user": null}, null], "none"]
}""")

PROPERTIES: Mapping[str, str] = load(r"""{"order_id??": "anything", "total??": "amount", "amount??": "anything",
 "items??": "anything", "placed_on??": "anything", "gift??": "anything", "address??": "anything", "home??": "anything",
 "it's??": "anything", "q\"??": "anything", "card??": "id", "code??": "currency"}""")
ORDER: Mapping[str, str] = {"order_id": "order", "total": "total", "items": "items"}

SHAPES: Mapping[str, list[dict[str, Any]]] = load("""{
"web": [{"event_name": "name", "occurred_at": "when", "properties": "=", "customer_id?": "id", "email?": "email",
  "phone?": "phone", "anonymous_id?": "device", "value??": "amount", "currency??": "currency", "goal_type??": "goal",
  "goal_name??": "order", "order_id??": "order", "kind??": "kind", "traits??": "blob", "extra??": "extra",
  "dedupe_key?": "key", "deleted_at??": "gone"}],
"redo": [{"eventName": "name", "eventTimestamp?": "when", "data": "=", "value??": "amount", "uniqueId?": "key",
   "customer": {"id?": "id", "email?": "email", "phoneNumber?": "phone", "firstName?": "note", "location??": "cart"},
   "valueCurrency??": "currency"},
  {"event_name": "name", "event_timestamp": "when", "properties": "=", "customer_id?": "id", "email?": "email",
   "phone?": "phone", "unique_id?": "key", "value_currency??": "currency"},
  {"event_name": "name", "properties": "=", "customer": "drawn"}],
"crm": [{"event_name": "name", "external_id": "key", "occurred_at": "when", "email": "email", "properties": "=",
  "goal_type??": "goal", "goal_value??": "amount", "goal_name??": "order", "workspace_id??": "step", "deleted_at??": "gone"}],
"cio": [{"type": "=person", "identifiers": {"id?": "id", "email?": "email", "phone?": "phone"}, "action": "=event",
   "name": "name", "id?": "key", "timestamp?": "when", "attributes": "="},
  {"identifiers": {"id?": "id"}, "action": "=identify", "attributes": {"email?": "email", "plan?": "anything"}},
  {"name": "name", "type": "=screen", "id?": "key", "data": "=", "customer_id?": "id", "anonymous_id?": "device"},
  {"type": "=track", "event": "name", "properties": "=", "userId?": "id", "anonymousId?": "device", "messageId?": "key"},
  {"type": "=identify", "traits": {"email?": "email", "phone?": "phone"}, "userId?": "id", "anonymousId?": "device"},
  {"type": "=alias", "previousId": "drawn", "userId?": "id", "anonymousId?": "device", "timestamp?": "when"},
  {"type": "=page", "name??": "name", "userId?": "id", "properties": "="},
  {"type": "=group", "groupId": "key", "traits": {"plan?": "anything"}, "userId?": "id"}],
"arsel": [{"event": "name", "data": "=", "email?": "email", "timestamp?": "when"},
  {"event": "name", "data": "=", "contact_id": "id", "phone_number??": "phone"}],
"till": [{"name": "name", "group?": "group", "step?": "step", "at?": "when", "day": "day", "quantity?": "count",
  "cents?": "count", "key?": "key", "user": "user", "item?": "item", "cart?": "cart", "blob?": "blob", "deep?": "anything",
  "gone??": "gone"}],
"rows": [{"name": "name", "group": "group", "step": "step", "at": "when", "day": "day", "cents": "count", "key": "key",
  "who": "id", "note": "note", "gone": "gone"}],
"bulk": [{"user?": "user", "note?": "anything", "hits": "hits"}, {"page": {"hits": "hits", "url": "=/"}}, {"name": "name"}]
}""")
