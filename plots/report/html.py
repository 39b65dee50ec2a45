"""A report as one HTML file: no network, no scripts, pictures inside. It prints well."""

import base64
from pathlib import Path

from plots.files import made
from plots.picture import Picture
from plots.report.content import Report

TEMPLATES = Path(__file__).parent / "templates"
WIDTH_PX = 760
_LARGEST_SVG = 1_500_000
"""Beyond it a PNG is smaller, and quicker to show."""


def html(report: Report) -> str:
    """The whole file."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    found: str = environment.get_template("report.html.j2").render(report=report, width=WIDTH_PX)
    return found


def data_uri(picture: Picture) -> str:
    """As SVG, or where that would be large as PNG."""
    data, kind = made(picture, "svg", WIDTH_PX), "svg+xml"
    if len(data) > _LARGEST_SVG:
        data, kind = made(picture, "png", WIDTH_PX), "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
