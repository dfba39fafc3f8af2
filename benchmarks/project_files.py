"""The written part of a generated project: settings and event definitions."""

from __future__ import annotations

from pathlib import Path

SOURCE = "web"

SETTINGS = """\
timezone: UTC
currency: USD
sources:
  web: {preset: customerio}
"""

ORDERS = """\
events:
  - name: order.completed
    description: Fires once the payment is captured.
    properties:
      - {name: order_id, type: string, required: true, maps_to: order_id}
      - {name: total, type: number, required: true, maps_to: value}
      - {name: currency, type: string, maps_to: currency}
      - {name: quantity, type: number}
      - {name: category, type: string}
    goal: {type: purchase, value: total}
"""

PRODUCTS = """\
events:
  - name: product.viewed
    description: Fires when a product page is shown.
    properties:
      - {name: product_id, type: string, required: true}
      - {name: price, type: number, required: true}
      - {name: category, type: string}
      - {name: member, type: boolean}
"""


def write_project_files(project: Path) -> None:
    """Write `eventpipe.yml` and the definitions into the folder `project`, made if it is missing."""
    definitions = project / "events"
    definitions.mkdir(parents=True, exist_ok=True)
    (project / "eventpipe.yml").write_text(SETTINGS, encoding="utf-8")
    (definitions / "orders.yml").write_text(ORDERS, encoding="utf-8")
    (definitions / "products.yml").write_text(PRODUCTS, encoding="utf-8")
