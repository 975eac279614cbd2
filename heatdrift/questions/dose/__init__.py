"""Dose."""
