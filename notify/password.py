"""The SMTP password: environment or settings, a file, the keyring. Never a prompt."""

from pathlib import Path

from store.errors import MailAway
from store.settings import Settings

KEYRING_SERVICE = "labq"


def password(settings: Settings) -> str:
    """Raises MailAway when a user is set and no source has the password: settings can be mended, mail kept."""
    if settings.smtp_password:
        return settings.smtp_password
    if settings.smtp_password_file:
        return _from_file(Path(settings.smtp_password_file).expanduser())
    found = _from_keyring(settings.smtp_user)
    if found is None:
        raise MailAway(
            f"no password for smtp_user {settings.smtp_user}: set LABQ_SMTP_PASSWORD or smtp_password_file, "
            f"or store it: keyring set {KEYRING_SERVICE} {settings.smtp_user}"
        )
    return found


def _from_file(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MailAway(f"smtp_password_file {file} cannot be read: {error}") from error
    if not lines or not lines[0]:
        raise MailAway(f"smtp_password_file {file}: its first line is empty")
    return lines[0]


def _from_keyring(user: str) -> str | None:
    """None where the optional package or its backend is missing."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        found: str | None = keyring.get_password(KEYRING_SERVICE, user)
    except (KeyringError, RuntimeError):
        return None
    return found
