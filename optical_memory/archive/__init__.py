"""The sealed pages of a session: drawn once, recorded, found again, shown at every tier."""
