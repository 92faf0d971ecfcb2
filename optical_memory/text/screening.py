"""Texts that ask to be obeyed: a list of patterns, no judgement. Off unless a memory is opened with `screen=True`.

A model reads a page as a picture, and refuses less of what it reads there than of the same words as text (arXiv 2605.07250: at 45 to 150
DPI; asking it to transcribe and to judge first brings that down). So such a turn is kept off pages: it stays text, and the framing text
names it.

The patterns find what is written openly, in eleven languages: requests to ignore instructions, new instructions, another role, secrecy, the
system prompt, and the markup of roles in transcripts and chat templates. They miss paraphrases, and find quotations too: what they find is
marked, not removed.

Content is hostile: every pattern starts with a fixed word or a line's start, and all that may be repeated is bounded, so that the time is
linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata

from .confusables import HOMOGLYPHS

__all__ = ["PATTERNS", "asks_to_be_obeyed", "reasons_to_screen"]

_ROLES = "system|developer|user|assistant|tool|human|ai"
_FEW = r"\w{0,8}+(?:[^\w.!?]{1,3}+\w{1,20}+){0,5}?[^\w.!?]{1,3}+"  # the end of a word, and up to five of its sentence before the next
_PATTERN_TEXTS: dict[str, tuple[str, ...]] = {
    "ignore instructions": (
        rf"\b(?:ignore|disregard|forget|override|bypass|do not follow|don't follow|stop following){_FEW}"
        r"(?:instructions?|prompts?|rules|guidelines|directions|orders|commands|policies|constraints)\b",
        r"\b(?:ignore|disregard|forget)\s{1,3}(?:everything|all|anything)\s{1,3}(?:above|before|previous|prior|you|that)",
        rf"\b(?:ignorier|missacht|vergiss|vergesst|vergessen sie|beachte){_FEW}(?:anweisung|instruktion|regel|vorgabe|befehl)",
        rf"\b(?:ignore[zr]?|oublie[zr]?|ne (?:tiens|tenez) pas compte){_FEW}(?:instruction|consigne|regle|directive|ordre)",
        rf"\b(?:ignor[ae]|olvid[ae]|haz caso omiso|descart[ae]){_FEW}(?:instrucciones|ordenes|reglas|indicaciones)",
        rf"\b(?:ignor[ai]|dimentica|scorda){_FEW}(?:istruzioni|regole|indicazioni|ordini)",
        rf"\b(?:ignor[ea]|esquec[ae]|desconsider[ea]){_FEW}(?:instrucoes|regras|ordens|orientacoes)",
        rf"\b(?:negeer|vergeet){_FEW}(?:instructies|regels|opdrachten|aanwijzingen)",
        rf"(?:игнорируи|забуд|не обращаи внимания на|не следуи){_FEW}(?:инструкци|указани|правил|команд)",
        r"(?:忽略|无视|無視|忽视|忘记|忘掉|不要理会)[^。\n]{0,12}(?:指令|指示|提示|规则|規則|说明|要求|命令)",
        r"(?:指示|命令|指令|ルール|プロンプト)[^。\n]{0,6}(?:無視|忘れ)",
        r"(?:지시|명령|규칙|프롬프트)[^.\n]{0,8}(?:무시|잊어)",
        r"(?:تجاهل|انس)[^.\n]{0,20}(?:التعليمات|الاوامر|القواعد|تعليمات)",
    ),
    "new instructions": (
        r"\b(?:new|updated|real|actual|important|urgent)\s{1,3}(?:system\s{1,3})?(?:instructions?|orders|prompt)\s{0,3}:",
        r"\b(?:neue|wichtige)\s{1,3}anweisung(?:en)?\s{0,3}:",
        r"\bnouvelles\s{1,3}(?:instructions|consignes)\s{0,3}:",
        r"\bnuevas\s{1,3}instrucciones\s{0,3}:",
        r"新(?:的)?(?:指令|指示)\s{0,3}[:：]",
    ),
    "another role": (
        r"\byou are (?:now|no longer)\b",
        r"\bfrom now on,?\s{1,3}(?:you|act|respond|answer)\b",
        r"\b(?:act|behave|pretend)\s{1,3}(?:as if|as though|as an?|to be)\s{1,3}(?:you\b|dan\b|(?:an? )?(?:unrestricted|different|evil))",
        r"\b(?:developer|debug|god|jailbreak|dan)\s{1,3}mode\s{1,3}(?:on|enabled|activated)\b",
        r"\b(?:du bist jetzt|ab jetzt bist du|tu es maintenant|a partir de maintenant,? tu|ahora eres|ora sei|agora voce e|je bent nu)\b",
        r"(?:теперь ты\b|с этого момента ты\b)",
        r"(?:你现在是|从现在开始,?你|从现在起,?你|あなたは今から|これからあなたは|너는 이제|지금부터 너는)",
    ),
    "secrecy": (
        r"\b(?:do not|don't|never)\s{1,3}(?:tell|inform|mention|reveal|alert|warn)\b[^.\n]{0,30}\b(?:user|human|anyone|this)\b",
        r"\b(?:sag|sage|verrate)\b[^.\n]{0,20}\bbenutzer\b[^.\n]{0,12}\b(?:nicht|nichts)\b",
        r"\bne (?:dis|dites|revele|revelez)\b[^.\n]{0,20}\b(?:utilisateur|personne)\b",
        r"\bno (?:le )?(?:digas|reveles|menciones)\b[^.\n]{0,30}",
        r"不要(?:告诉|通知|透露)[^。\n]{0,10}(?:用户|任何人)",
    ),
    "the system prompt": (
        rf"\b(?:reveal|print|show|repeat|output|display|leak|send){_FEW}(?:(?:system|hidden|initial) prompt|initial instructions)",
        r"(?:显示|输出|透露|重复)[^。\n]{0,10}(?:系统提示|系统指令)",
    ),
    "markup of roles": (
        rf"(?m:^)[ \t>*_#\[(]{{0,8}}(?:{_ROLES})[ \t*_\])]{{0,4}}:",
        rf"#\s{{0,2}}\d{{1,9}}[\W_]{{0,4}}(?:{_ROLES})\b",
        rf"<\|?\s{{0,2}}/?(?:im_start|im_end|start_header_id|end_header_id|eot_id|endoftext|{_ROLES})\s{{0,2}}\|?>",
        r"\[/?inst\]|<<sys>>|<start_of_turn>|<end_of_turn>",
        rf"(?m:^)#{{1,6}}\s{{1,3}}(?:{_ROLES}|instructions?)\s{{0,3}}:?\s{{0,3}}(?m:$)",
    ),
}
PATTERNS: dict[str, tuple[re.Pattern[str], ...]] = {
    reason: tuple(re.compile(pattern) for pattern in patterns) for reason, patterns in _PATTERN_TEXTS.items()
}
_FOLDS = {ord(char): letter for char, letter in HOMOGLYPHS.items()}
_LATIN_WORD = re.compile(r"[^\W\d_]+")


def asks_to_be_obeyed(text: str) -> bool:
    """Whether a pattern finds something in `text`. The same for the same text, in linear time."""
    folded = _folded(text)
    return any(pattern.search(form) for patterns in PATTERNS.values() for pattern in patterns for form in folded)


def reasons_to_screen(text: str) -> tuple[str, ...]:
    """Return the reasons (keys of `PATTERNS`) for which a pattern finds something in `text`."""
    folded = _folded(text)
    return tuple(reason for reason, patterns in PATTERNS.items() if any(pattern.search(form) for pattern in patterns for form in folded))


def _folded(text: str) -> tuple[str, ...]:
    """Return `text` in small letters without accents and without what is not seen; also with Latin letters for those that look the same."""
    if text.isascii():
        return (text.lower(),)
    seen = (char for char in unicodedata.normalize("NFKD", text) if unicodedata.category(char) not in ("Cf", "Mn"))
    plain = unicodedata.normalize("NFKC", "".join(seen))
    latin = _LATIN_WORD.sub(lambda word: word[0].translate(_FOLDS) if re.search("[A-Za-z]", word[0]) else word[0], plain)
    return tuple(dict.fromkeys((plain.casefold(), latin.casefold())))
