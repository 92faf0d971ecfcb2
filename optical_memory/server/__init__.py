"""Servers: optical memory in front of clients that speak to a provider."""
