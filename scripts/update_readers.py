"""Put the tables of the reader profiles where docs/readers.md shows them: `make docs`."""

from __future__ import annotations

from pathlib import Path

from optical_memory.profiles.markdown_table import markdown_tables

PAGE = Path(__file__).parent.parent / "docs" / "readers.md"
BEGIN, END = "<!-- profiles -->\n", "<!-- /profiles -->"


def main() -> None:
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + markdown_tables() + END + after, "utf-8")


if __name__ == "__main__":
    main()
