"""Automations: definitions as typed trees, and the decision about each candidate."""
