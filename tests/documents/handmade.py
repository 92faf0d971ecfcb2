"""PDF files written by hand: what a printer seldom makes, and an attacker may."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field

PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")  # ISO 32000-1, algorithm 2


@dataclass
class HandmadePage:
    """A page: `size` in units, its content, and further entries of its dictionary and its resources."""

    content: str
    size: tuple[float, float] = (612, 792)
    more: str = ""
    resources: str = ""
    annotations: list[str] = field(default_factory=list)


def lines(*texts: str, size: int = 12, left: int = 72, top: int = 700) -> str:
    """Return content that shows lines of text."""
    said = "".join(f"({text}) Tj 0 -{size * 1.5:g} Td\n" for text in texts)
    return f"BT /F1 {size} Tf {left} {top} Td\n{said}ET\n"


def laughing(levels: int, times: int) -> bytes:
    """Write a small PDF that takes `times` ** `levels` steps to draw: forms that each draw the next one many times."""
    beside = {}
    for level in range(levels):
        inner = b"/F Do " * times if level + 1 < levels else b"0 0 1 1 re f"
        resources = f"/Resources << /XObject << /F {2001 + level} 0 R >> >>" if level + 1 < levels else ""
        beside[2000 + level] = (f"/Type /XObject /Subtype /Form /BBox [0 0 100 100] {resources}", inner)
    page = HandmadePage("/F Do", resources="/XObject << /F 2000 0 R >>")
    return pdf([HandmadePage(lines("Harmless")), page], beside=beside)


def bloated(megabytes: int) -> bytes:
    """Write a small PDF with a page whose content is so large once it is unpacked."""
    packer, piece = zlib.compressobj(1), b" " * 2**20
    data = b"".join(packer.compress(piece) for _ in range(megabytes)) + packer.flush()
    entries = "/Type /XObject /Subtype /Form /BBox [0 0 100 100] /Filter /FlateDecode"
    page = HandmadePage("/F Do", resources="/XObject << /F 2000 0 R >>")
    return pdf([HandmadePage(lines("Harmless")), page], beside={2000: (entries, data)})


def box(left: float, bottom: float, width: float, height: float, colour: str = "1 0 0") -> str:
    """Return content that fills a rectangle."""
    return f"\n{colour} rg {left} {bottom} {width} {height} re f 0 g\n"


def pdf(
    pages: list[HandmadePage],
    *,
    title: str = "",
    outline: list[tuple[str, int]] | None = None,
    form: bool = False,
    script: str = "",
    password: str | None = None,
    beside: dict[int, tuple[str, bytes]] | None = None,
) -> bytes:
    """Write a PDF.

    Args:
        outline: headings, each with its page from 1.
        form: the annotations are the fields of a form.
        script: JavaScript that is to run when the file is opened.
        password: encrypts it, RC4 with 40 bits.
        beside: further streams by number, from 2000 on, each with the entries of its dictionary.
    """
    objects: dict[int, tuple[str, bytes | None]] = {**(beside or {})}
    first = 10
    kids = [first + 2 * place for place in range(len(pages))]
    notes = 1_000
    for number, page in zip(kids, pages, strict=True):
        refs = []
        for entry in page.annotations:
            objects[notes] = (f"<< /Type /Annot /P {number} 0 R {entry} >>", None)
            refs.append(notes)
            notes += 1
        annotated = f"/Annots [{' '.join(f'{ref} 0 R' for ref in refs)}]" if refs else ""
        media = f"/MediaBox [0 0 {page.size[0]:g} {page.size[1]:g}]"
        resources = f"/Resources << /Font << /F1 3 0 R >> {page.resources} >>"
        entries = f"/Type /Page /Parent 2 0 R {media} {resources} /Contents {number + 1} 0 R {page.more} {annotated}"
        objects[number] = (f"<< {entries} >>", None)
        objects[number + 1] = ("", page.content.encode("latin-1"))
    extra = ""
    if form:
        fields = " ".join(f"{ref} 0 R" for ref in range(1_000, notes))
        extra += f" /AcroForm << /Fields [{fields}] /DA (/F1 12 Tf 0 g) /DR << /Font << /F1 3 0 R >> >> /NeedAppearances true >>"
    if script:
        extra += f" /OpenAction << /S /JavaScript /JS ({script}) >>"
    if outline:
        extra += " /Outlines 4 0 R"
        marks = [500 + place for place in range(len(outline))]
        objects[4] = (f"<< /Type /Outlines /First {marks[0]} 0 R /Last {marks[-1]} 0 R /Count {len(marks)} >>", None)
        for place, (text, page_number) in enumerate(outline):
            beside = f"/Prev {marks[place] - 1} 0 R " if place else ""
            beside += f"/Next {marks[place] + 1} 0 R " if place + 1 < len(marks) else ""
            objects[marks[place]] = (f"<< /Title ({text}) /Parent 4 0 R {beside}/Dest [{kids[page_number - 1]} 0 R /Fit] >>", None)
    objects[1] = (f"<< /Type /Catalog /Pages 2 0 R{extra} >>", None)
    objects[2] = (f"<< /Type /Pages /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] /Count {len(kids)} >>", None)
    objects[3] = ("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>", None)
    if title:
        objects[5] = (f"<< /Title ({title}) >>", None)
    return _written(objects, title=title, password=password)


def _written(objects: dict[int, tuple[str, bytes | None]], *, title: str, password: str | None) -> bytes:
    identity = bytes(range(16))
    trailer = f" /ID [<{identity.hex()}> <{identity.hex()}>]"
    key = None
    if password is not None:
        key, entry = _encryption(password.encode("latin-1"), identity)
        if title:
            objects[5] = (f"<< /Title <{_rc4(_own(key, 5), title.encode('latin-1')).hex()}> >>", None)
        trailer += f" /Encrypt {entry}"
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = {}
    for number in sorted(objects):
        text, data = objects[number]
        places[number] = len(out)
        out += f"{number} 0 obj\n".encode()
        if data is None:
            out += text.encode("latin-1")
        else:
            held = _rc4(_own(key, number), data) if key else data
            out += f"<< {text} /Length {len(held)} >>\nstream\n".encode() + held + b"\nendstream"
        out += b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in places.items():
        out += f"{number} 1\n{place:010d} 00000 n \n".encode()
    info = " /Info 5 0 R" if title else ""
    out += f"trailer\n<< /Size {max(objects) + 1} /Root 1 0 R{info}{trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def _encryption(password: bytes, identity: bytes) -> tuple[bytes, str]:
    """Return the key of the standard handler's revision 2, and the entry that tells of it (ISO 32000-1, 7.6.3)."""
    padded = (password + PADDING)[:32]
    owner = _rc4(hashlib.md5(padded, usedforsecurity=False).digest()[:5], padded)
    rights = -4
    key = hashlib.md5(padded + owner + rights.to_bytes(4, "little", signed=True) + identity, usedforsecurity=False).digest()[:5]
    return key, f"<< /Filter /Standard /V 1 /R 2 /O <{owner.hex()}> /U <{_rc4(key, PADDING).hex()}> /P {rights} >>"


def _own(key: bytes, number: int) -> bytes:
    return hashlib.md5(key + number.to_bytes(3, "little") + b"\0\0", usedforsecurity=False).digest()[:10]


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    other = 0
    for place in range(256):
        other = (other + state[place] + key[place % len(key)]) % 256
        state[place], state[other] = state[other], state[place]
    one = other = 0
    out = bytearray()
    for byte in data:
        one = (one + 1) % 256
        other = (other + state[one]) % 256
        state[one], state[other] = state[other], state[one]
        out.append(byte ^ state[(state[one] + state[other]) % 256])
    return bytes(out)
