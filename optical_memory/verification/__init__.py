"""Whether a page can still be read at a tier: asked before its text leaves the context, or it fades."""

from .base import Verification, Verifier, verifier_of

__all__ = ["Verification", "Verifier", "verifier_of"]
