"""Secrets for tests, put together from parts so that no scanner of repositories takes this file for a leak. None was ever valid."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

ANY, LOWER, UPPER = string.ascii_letters + string.digits, string.ascii_lowercase + string.digits, string.ascii_uppercase + string.digits
URL_SAFE = ANY + "-_"


def _run(dice: random.Random, length: int, letters: str = ANY) -> str:
    return "7" + "".join(dice.choice(letters) for _ in range(length - 1))


def _private_key(dice: random.Random, kind: str) -> str:
    lines = [_run(dice, 64, ANY + "+/") for _ in range(8)]
    return "\n".join([f"-----BEGIN {kind}PRIVATE KEY-----", *lines, f"-----END {kind}PRIVATE KEY-----"])


TOKENS: dict[str, Callable[[random.Random], str]] = {
    "aws": lambda dice: "AKIA" + _run(dice, 16, UPPER),
    "github": lambda dice: "ghp_" + _run(dice, 36),
    "github, fine-grained": lambda dice: "github_pat_" + _run(dice, 22) + "_" + _run(dice, 59),
    "gitlab": lambda dice: "glpat-" + _run(dice, 20),
    "slack": lambda dice: f"xoxb-{_run(dice, 12, string.digits)}-{_run(dice, 12, string.digits)}-{_run(dice, 24)}",
    "stripe": lambda dice: "sk_live_" + _run(dice, 24),
    "stripe, long": lambda dice: "rk_live_" + _run(dice, 99),
    "openai": lambda dice: "sk-proj-" + _run(dice, 74, URL_SAFE) + "T3BlbkFJ" + _run(dice, 74),
    "openai, old": lambda dice: "sk-" + _run(dice, 20) + "T3BlbkFJ" + _run(dice, 20),
    "anthropic": lambda dice: "sk-ant-api03-" + _run(dice, 93, URL_SAFE) + "AA",
    "google": lambda dice: "AIza" + _run(dice, 35, URL_SAFE),
    "huggingface": lambda dice: "hf_" + _run(dice, 34),
    "npm": lambda dice: "npm_" + _run(dice, 36),
    "pypi": lambda dice: "pypi-AgEIcHlwaS5vcmc" + _run(dice, 120, URL_SAFE),
    "sendgrid": lambda dice: "SG." + _run(dice, 22) + "." + _run(dice, 43),
    "telegram": lambda dice: _run(dice, 10, string.digits) + ":AA" + _run(dice, 33, URL_SAFE),
    "jwt": lambda dice: "eyJhbGciOiJIUzI1NiJ9.eyJ" + _run(dice, 60, URL_SAFE) + "." + _run(dice, 43, URL_SAFE),
}
PRIVATE_KEYS: dict[str, Callable[[random.Random], str]] = {
    kind or "PKCS8": (lambda dice, kind=kind: _private_key(dice, kind)) for kind in ("", "RSA ", "EC ", "OPENSSH ")
}
LIBRARY_TOKENS: dict[str, Callable[[random.Random], str]] = {
    "twilio": lambda dice: "SK" + _run(dice, 32, LOWER),
    "mailchimp": lambda dice: _run(dice, 32, LOWER) + "-us12",
    "square": lambda dice: "sq0csp-" + _run(dice, 43, URL_SAFE),
}
ANNOUNCED: dict[str, str] = {
    "url": "postgres://app:{}@db.example.com:5432/shop",
    "redis url": "redis://:{}@cache:6379/0",
    "bearer": "curl -H 'Authorization: Bearer {0}{0}' https://api.example.com",
    "basic": "Authorization: Basic {}Zm9v",
    "environment": "export DB_PASSWORD={}",
    "json": '{{"user": "bob", "password": "{}"}}',
    "yaml": "api_key: {}",
    "aws secret": "aws_secret_access_key = {0}{0}",
    "curl": "curl -u bob:{} https://example.com",
    "prose": "By the way, my password is {}, tell nobody.",
}
