"""A message that is too large loses attachments first, then pictures, then the end of its text, and says so."""

import re
from collections.abc import Iterable
from dataclasses import replace
from html import escape

from notify.content import Attachment, Content, Image

_ENCODED = 1.4
"""What base64 in lines makes of a byte; quoted-printable may do worse to text, which is small."""
_FRAME_BYTES = 8_000
"""Headers, the frame of each part, the lines about what was left out."""
_LEAST_TEXT_BYTES = 4_000

_Part = Image | Attachment


def fitting(content: Content, most_bytes: int, *, see: str) -> Content:
    """The same content, or as much of it as `most_bytes` have room for. `see`: a command that shows the rest."""
    room = int((most_bytes - _FRAME_BYTES) / _ENCODED)
    whole, content = content, _text_within(content, max(room, _LEAST_TEXT_BYTES))
    room -= len(content.text.encode()) + len(content.html.encode())
    images = _largest_dropped(content.images if content.html else (), room)
    attachments = _largest_dropped(content.attachments, room - _bytes(images))
    parts: tuple[_Part, ...] = (*whole.attachments, *whole.images)
    gone = [part for part in parts if part not in attachments and part not in images]
    lines = [f"{_name(one)} ({_bytes([one]) / 1e6:.1f} MB): {one.command or see}" for one in gone]
    if content.text != whole.text or content.html != whole.html:
        lines.append(f"the end of this text: {see}")
    content = replace(
        content,
        images=tuple(one for one in content.images if one in images),
        attachments=tuple(one for one in content.attachments if one in attachments),
    )
    return _told(content, gone, lines, most_bytes) if lines else content


def _text_within(content: Content, room: int) -> Content:
    """HTML goes as a whole: half a page is none."""
    if len(content.text.encode()) + len(content.html.encode()) <= room:
        return content
    text = content.text.encode()[:room].decode(errors="ignore")
    return replace(content, text=text, html="")


def _largest_dropped(parts: Iterable[_Part], room: int) -> list[_Part]:
    kept = list(parts)
    while kept and _bytes(kept) > room:
        kept.remove(max(kept, key=lambda one: _bytes([one])))
    return kept


def _bytes(parts: Iterable[_Part]) -> int:
    return sum(len(one.png if isinstance(one, Image) else one.data) for one in parts)


def _name(part: _Part) -> str:
    return part.name or (f"{part.cid}.png" if isinstance(part, Image) else "attachment")


def _told(content: Content, gone: list[_Part], lines: list[str], most_bytes: int) -> Content:
    head = f"Left out, as messages are kept below {most_bytes / 1e6:g} MB (mail_most_mb):"
    text = "\n".join([content.text.rstrip("\n"), "", head, *(f"  {line}" for line in lines)]) + "\n"
    html = content.html
    for one in gone:
        if isinstance(one, Image):
            html = re.sub(rf"<img\b[^>]*cid:{re.escape(one.cid)}\b[^>]*>", "", html)
    if html:
        items = "".join(f"<li>{escape(line)}</li>" for line in lines)
        html = _before_the_end(html, f"<p>{escape(head)}</p><ul>{items}</ul>")
    return replace(content, text=text, html=html)


def _before_the_end(html: str, addition: str) -> str:
    body, end, rest = html.rpartition("</body>")
    return f"{body}{addition}{end}{rest}" if end else html + addition
