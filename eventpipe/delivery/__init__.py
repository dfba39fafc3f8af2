"""Delivery of fired triggers: webhooks and files."""
