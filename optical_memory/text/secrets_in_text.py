"""Find secrets in a text: private keys, tokens by their format, passwords in URLs, credentials after a name such as `password`.

Content is hostile: every pattern starts at fixed characters or a bounded run, and takes runs possessively or bounded, so that the time is
linear in the length of the text.
"""

from __future__ import annotations

import importlib
import logging
import re
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

__all__ = ["Hit", "LibraryRules", "own_hits", "own_rules", "split_hits"]

Hit = tuple[int, int, str]  # first character, end, kind

LONGEST_KEY = 20_000  # characters between the lines BEGIN and END of a private key


@dataclass(frozen=True, slots=True)
class _Rule:
    """A pattern; its group `s`, or the whole match, is a secret of a kind if `worthy` returns True."""

    kind: str
    pattern: re.Pattern[str]
    worthy: Callable[[str], bool]

    def hits(self, text: str) -> Iterator[Hit]:
        group = "s" if "s" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text):
            if self.worthy(match[group]):
                yield match.start(group), match.end(group), self.kind


def _always(secret: str) -> bool:
    return True


def _has_digit(secret: str) -> bool:
    return any(map(str.isdigit, secret))


def _is_signed(secret: str) -> bool:
    return "." in secret


def _is_mixed(secret: str) -> bool:
    """Whether a string has digits and letters of both cases, unlike `task-` and a hash."""
    return all(any(map(kind, secret[3:])) for kind in (str.isdigit, str.isupper, str.islower))


def _is_random(piece: str) -> bool:
    """Whether a string is unlike a word: with digits, or capitals after small letters."""
    return _has_digit(piece) or re.search("[a-z][A-Z]", piece) is not None


_PLACEHOLDER = re.compile(
    r"[*xX.•_-]+|\$.*|%\(?\w+\)?[%s]?|.*\{.*|<.*|\[.*|(?i:your|my|the|some|example|placeholder|change)[-_ ].*"
    r"|(?i:none|null|true|false|undefined|string|str|bool|int|required|optional|password|passwd|secret|token|hidden|redacted)"
)


def _is_given(secret: str) -> bool:
    """Whether a value is not a placeholder, a variable, or the name of a type."""
    return _PLACEHOLDER.fullmatch(secret) is None


def _is_credential(secret: str) -> bool:
    """Whether a value has letters and digits, and is neither a path nor dotted names of code."""
    mixed = _has_digit(secret) and any(map(str.isalpha, secret)) and "://" not in secret
    return mixed and _is_given(secret) and re.fullmatch(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|[a-z_]+\d?|[A-Z_]+\d?|\.{0,2}/.*", secret) is None


def _rules(*rules: tuple[str, str, Callable[[str], bool]]) -> tuple[_Rule, ...]:
    return tuple(_Rule(kind, re.compile(pattern, re.ASCII), worthy) for kind, pattern, worthy in rules)


_TOKENS = _rules(
    ("aws-key", r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16,128}+", _always),
    ("github-token", r"gh[pousr]_[A-Za-z0-9]{36,255}+", _always),
    ("github-token", r"github_pat_[A-Za-z0-9_]{22,255}+", _always),
    ("slack-token", r"xox[a-z]-[A-Za-z0-9-]{10,255}+", _has_digit),
    ("slack-token", r"xapp-\d-[A-Za-z0-9-]{20,255}+", _always),
    ("slack-webhook", r"hooks\.slack\.com/[a-z]{1,20}/(?P<s>[A-Za-z0-9_/]{20,255}+)", _always),
    ("stripe-key", r"[rs]k_(?:live|test|prod)_[A-Za-z0-9]{16,255}+", _always),
    ("stripe-key", r"whsec_[A-Za-z0-9+/=]{24,255}+", _always),
    ("api-key", r"sk-ant-[A-Za-z0-9_-]{16,300}+", _has_digit),
    ("api-key", r"sk-(?:proj|svcacct|admin|None|or)-[A-Za-z0-9_-]{16,300}+", _has_digit),
    ("api-key", r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))sk-[A-Za-z0-9]{20,255}+", _has_digit),
    ("api-key", r"sk-[A-Za-z0-9]{40,255}+", _is_mixed),
    ("google-key", r"AIza[A-Za-z0-9_-]{35,255}+", _always),
    ("google-key", r"GOCSPX-[A-Za-z0-9_-]{24,255}+", _always),
    ("google-key", r"ya29\.[A-Za-z0-9_-]{20,2048}+", _always),
    ("huggingface-token", r"hf_[A-Za-z0-9]{30,255}+", _always),
    ("npm-token", r"npm_[A-Za-z0-9]{36,255}+", _always),
    ("npm-token", r"_authToken=\s{0,2}(?P<s>[A-Za-z0-9_-]{16,255}+)", _always),
    ("gitlab-token", r"gl(?:pat|dt|ft|soat|rt|ptt|agent|oas)-[A-Za-z0-9_-]{20,1024}+", _is_random),
    ("pypi-token", r"pypi-[A-Za-z0-9_-]{70,1024}+", _is_random),
    ("sendgrid-key", r"SG\.[A-Za-z0-9_-]{16,64}+\.[A-Za-z0-9_-]{16,128}+", _is_random),
    ("telegram-token", r"(?<!\d)\d{8,10}:AA[A-Za-z0-9_-]{32,255}+", _always),
    ("age-key", r"AGE-SECRET-KEY-1[A-Z0-9]{20,255}+", _always),
    ("jwt", r"eyJ[A-Za-z0-9_=-]{8,16384}+(?:\.[A-Za-z0-9_=-]{8,65536}+(?:\.[A-Za-z0-9_=-]{0,16384}+)?)?", _is_signed),
)

_NAMES = (  # names of credentials
    r"(?i:pass(?:word|wd|phrase|code)|passwd|pwd|secret|token|credentials?|(?:api|access|account|auth|client|private|secret|shared|signing|encryption)[_-]?key)s?"
)
_ASSIGNED = r"(?![A-Za-z0-9])\\{0,3}[\"'`]?\]?[ \t]{0,4}(?::=|=>|=|:)[ \t]{0,4}"
_BARE = r"[^\s\"'`,;<>(){}\[\]\\&=|]"

_CONTEXT = _rules(
    ("password", r"://[^\s/?#:@\"'<>\\`]{0,100}+:(?P<s>[^\s/?#\"'<>\\`]{1,255})@(?=[\w\[.$%-])", _is_given),
    ("token", r"://(?P<s>[A-Za-z0-9_.-]{20,255}+)@", _has_digit),
    ("authorization", r"(?i:bearer)(?: |\\t|%20){1,3}(?P<s>[A-Za-z0-9._~+/-]{16,8192}+={0,2})", _has_digit),
    (
        "authorization",
        r"(?i:authorization)\\{0,3}[\"']?\s{0,3}[:=]\s{0,3}\\{0,3}[\"']?(?i:basic|bearer|token|digest|apikey) {1,3}"
        r"(?P<s>[A-Za-z0-9._~+/-]{12,8192}+={0,2})",
        _is_given,
    ),
    ("password", r"(?:\s-u|\s--user)[ =]{1,2}[\"']?[^\s:\"'\\/]{1,64}+:(?P<s>[^\s\"'\\]{4,255}+)", _is_credential),
    ("password", r"(?i:password|passcode|passphrase) (?:is|was|to)[: ] ?[\"'`]?(?P<s>[^\s\"'`\\<>,;(){}]{4,255}+)", _is_credential),
    ("credential", rf"{_NAMES}{_ASSIGNED}(?:[rbf]?\\{{0,3}}[\"'`])?(?P<s>{_BARE}{{8,4096}}+={{0,2}})(?!\()", _is_credential),
    ("password", rf"(?i:pass(?:word|wd|phrase|code)|passwd|pwd){_ASSIGNED}\"(?P<s>(?:[^\"\\\n]|\\[^\n]){{3,512}}+)\"", _is_given),
    ("password", rf"(?i:pass(?:word|wd|phrase|code)|passwd|pwd){_ASSIGNED}'(?P<s>(?:[^'\\\n]|\\[^\n]){{3,512}}+)'", _is_given),
    ("password", rf"(?i:pass(?:word|wd|phrase|code)|passwd|pwd){_ASSIGNED}\\\"(?P<s>[^\"\\\n]{{3,512}}+)\\\"", _is_given),
    ("password", r"(?i:pass(?:word|wd|phrase)|passwd|pwd)(?:=|\": ?\")(?P<s>[^\s\"'`,;<>(){}\[\]\\&=|]{4,255}+)(?!\()", _is_credential),
)

_TAIL = re.compile(r"[ \t]{0,4}\\?\r?\n[ \t]{0,40}(?P<more>[A-Za-z0-9_+/=.-]{8,4096}+)")
_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?-----")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY = re.compile(r"(?:(?:\s|\\[nrt]){0,16}+(?:[A-Za-z-]{1,24}: [^\n\"\\]{0,120}+|[A-Za-z0-9+/=]{16,}+|[A-Za-z0-9+/]{1,16}+={1,2}))*+")


def own_rules() -> str:
    """Return all patterns as text, for a fingerprint."""
    kinds = [f"{rule.kind} {rule.pattern.pattern} {rule.worthy.__name__}" for rule in (*_TOKENS, *_CONTEXT)]
    return "\n".join([*kinds, _KEY_BEGIN.pattern, _KEY_END.pattern, _KEY_BODY.pattern, _PLACEHOLDER.pattern])


def own_hits(text: str) -> Iterator[Hit]:
    """Find secrets by the rules of this module."""
    yield from _private_keys(text)
    for rule in _CONTEXT:
        yield from rule.hits(text)
    for rule in _TOKENS:
        yield from ((start, _with_tail(text, end), kind) for start, end, kind in rule.hits(text))


def _with_tail(text: str, end: int) -> int:
    """Return the end of a token that reaches the end of its line and may continue on the next."""
    while (tail := _TAIL.match(text, end)) and _is_random(tail["more"]):
        end = tail.end()
    return end


def _private_keys(text: str) -> Iterator[Hit]:
    """Find whole blocks; without an END line, all lines like those of a key."""
    done = 0
    for begin in _KEY_BEGIN.finditer(text):
        if begin.start() < done:
            continue
        end = _KEY_END.search(text, begin.end(), begin.end() + LONGEST_KEY)
        body = _KEY_BODY.match(text, begin.end(), begin.end() + LONGEST_KEY)
        done = end.end() if end else body.end() if body else begin.end()
        yield begin.start(), done, "private-key"


_BREAK = re.compile(r"(?<=[A-Za-z0-9_.-])[ \t]{0,4}\\?\r?\n[ \t]{0,40}(?=[A-Za-z0-9_.-])")


def split_hits(text: str) -> Iterator[Hit]:
    """Find tokens that continue over the end of a line."""
    ends, begins = [0], [0]  # where lines begin: in the joined text, and in `text`
    pieces = []
    for gap in _BREAK.finditer(text):
        pieces.append(text[begins[-1] : gap.start()])
        ends.append(ends[-1] + len(pieces[-1]))
        begins.append(gap.end())
    if not pieces:
        return
    joined = "".join([*pieces, text[begins[-1] :]])
    for rule in _TOKENS:
        for first, last, kind in rule.hits(joined):
            line, line_of_end = bisect_right(ends, first) - 1, bisect_right(ends, last - 1) - 1
            if line != line_of_end:
                yield begins[line] + first - ends[line], begins[line_of_end] + last - ends[line_of_end], kind


# The library's detectors of fixed formats. Left out: guesses by entropy or by key words alone, public addresses, service names before any
# value (IBM's), and what the rules above find in linear time (JWT, OpenAI, npm, Telegram, URLs, private keys).
_LIBRARY = (
    "artifactory.ArtifactoryDetector",
    "aws.AWSKeyDetector",
    "azure_storage_key.AzureStorageKeyDetector",
    "discord.DiscordBotTokenDetector",
    "github_token.GitHubTokenDetector",
    "gitlab_token.GitLabTokenDetector",
    "mailchimp.MailchimpDetector",
    "pypi_token.PypiTokenDetector",
    "sendgrid.SendGridDetector",
    "slack.SlackDetector",
    "square_oauth.SquareOAuthDetector",
    "stripe.StripeDetector",
    "twilio.TwilioKeyDetector",
)
_REST = re.compile(r"[A-Za-z0-9_-]{0,512}+")


class LibraryRules:
    """The formats of the library `detect-secrets`, without its verification over the network. Raises `ImportError` without it."""

    def __init__(self) -> None:
        shown = warnings.showwarning
        self._rules = tuple(rule for path in _LIBRARY for rule in _library_rules(*path.split(".")))
        if warnings.showwarning is not shown:
            logging.captureWarnings(False)  # importing the library makes log lines of all warnings of the process
        self.version = metadata.version("detect-secrets")

    def hits(self, text: str) -> Iterator[Hit]:
        for kind, pattern in self._rules:
            for match in pattern.finditer(text):
                group = next((place for place, found in enumerate(match.groups(), 1) if found and len(found) >= 16), 0)
                if _has_digit(match[group]):
                    start, end = match.span(group)
                    start += len(match[group]) - len(match[group].lstrip(' \t\r\n=:"'))
                    end -= len(match[group]) - len(match[group].rstrip(' \t\r\n"'))
                    rest = _REST.match(text, end)  # newer tokens of the format are longer
                    yield start, rest.end() if rest else end, kind


def _library_rules(module: str, name: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    plugin = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)
    kind = re.sub(r"[^a-z]+", "-", str(plugin.secret_type).lower()).strip("-")
    yield from ((kind, pattern) for pattern in plugin.denylist)
