"""Logins, rules, links: who may do what."""
