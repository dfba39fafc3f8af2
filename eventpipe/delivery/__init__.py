"""Delivery of fired triggers: webhooks and files (spec 4, "Delivery")."""
