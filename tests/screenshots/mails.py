"""The messages of `labq notify --test` as a browser shows them: to be looked at, and for docs/messages.md.

    pip install playwright && apt-get install chromium
    python tests/screenshots/mails.py FOLDER [KIND …] [--browser /usr/bin/chromium]

Writes KIND-WIDTH-light.png and -dark.png, as wide as a desktop (760) and a telephone (380), and KIND.txt. Says where a page
is wider than its window.
"""

import argparse
import base64
from pathlib import Path
from typing import Any

from notify.compose import compose
from notify.content import Content
from notify.made_up.notices import one_of_each

SHOTS = ((760, "light"), (760, "dark"), (380, "light"))


def page_of(content: Content) -> str:
    """The HTML part with its pictures inside, as a mail programme puts them together."""
    html = content.html
    for image in content.images:
        html = html.replace(f"cid:{image.cid}", f"data:image/png;base64,{base64.b64encode(image.png).decode()}")
    return html


def shoot(browser: Any, folder: Path, kind: str, html: str) -> None:
    for width, scheme in SHOTS:
        page = browser.new_page(viewport={"width": width, "height": 400}, color_scheme=scheme)
        page.set_content(html)
        page.screenshot(path=str(folder / f"{kind}-{width}-{scheme}.png"), full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            print(f"{kind}: {wide} pixels wide in a window of {width}")
        page.close()


def main() -> None:
    from playwright.sync_api import sync_playwright  # type: ignore[import-not-found, unused-ignore]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kinds", nargs="*")
    parser.add_argument("--browser", default="/usr/bin/chromium")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=["--no-sandbox", "--disable-gpu"])
        for notice, story in one_of_each(("ada@lab.example",)):
            if not options.kinds or notice.about.value in options.kinds:
                content = compose(notice, story)
                (options.folder / f"{notice.about.value}.txt").write_text(content.text)
                shoot(browser, options.folder, notice.about.value, page_of(content))
        browser.close()


if __name__ == "__main__":
    main()
