"""Carries requests over HTTP; signing and a caller's rate limiter wrap it."""
