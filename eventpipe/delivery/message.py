"""What is sent: one JSON object per trigger, the same bytes on every attempt (Standard Webhooks: type, timestamp, data)."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from standardwebhooks import Webhook

from eventpipe.ops.deliveries import Outgoing


def body(trigger: Outgoing) -> str:
    """`data` is the payload; what the payload's numbers are written like is kept."""
    head = {
        "id": trigger.trigger_id,
        "type": "automation.triggered",
        "timestamp": trigger.fired_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "automation": trigger.automation,
        "contact_id": trigger.contact_id,
        "occasion": trigger.occasion,
    }
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
    return f'{text[:-1]},"data":{trigger.payload}}}'


def headers(trigger_id: str, text: str, secrets: tuple[str, ...], now: datetime) -> dict[str, str]:
    """The id, which stays, the time of this attempt, and a signature with each secret, if there is any."""
    # The library reads the time as UTC, whatever its zone.
    at = now.astimezone(UTC)
    signatures = [Webhook(secret).sign(trigger_id, at, text) for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": "eventpipe",
        "webhook-id": trigger_id,
        "webhook-timestamp": str(int(at.timestamp())),
        **({"webhook-signature": " ".join(signatures)} if signatures else {}),
    }
