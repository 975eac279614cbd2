"""Interaction."""
