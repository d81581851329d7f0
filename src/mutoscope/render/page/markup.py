"""Pieces of HTML that all sections of a page use; every text is escaped."""

from html import escape


def paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part.strip())}</p>" for part in text.split("\n\n") if part.strip())


def note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>' if text else ""
