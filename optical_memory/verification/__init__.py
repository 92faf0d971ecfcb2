"""Verify that a page is readable at a tier, before its text leaves the context or it is demoted."""

from .base import Verification, Verifier, verifier_of

__all__ = ["Verification", "Verifier", "verifier_of"]
