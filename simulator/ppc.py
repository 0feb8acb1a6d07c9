"""PPC's LTE gateway, after its public clients: one CGI, HTML forms, one session at a time."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Final
from urllib.parse import parse_qs

from simulator import meter, ppc_exports
from simulator.messages import Headers, Received, Response
from simulator.vendor import HEAD, Device, page_for_people

CGI: Final = b"/cgi-bin/hanservice.cgi"
METER_ID: Final = "41f3a8ed992e8ee9da39a3084a387ac3"
METER_NAME: Final = "01005e318002.1emh0012345678.sm"
FIRMWARE: Final = "32350-32348"

ODD_HEADERS: Final[Headers] = [
    (b"SERVER", b"SmartMeterGateway"),
    (b"X-FRAME-OPTIONS", b"deny"),
    (b"Strict-Transport-Security", b"max-age=31536000; includeSubDomains"),
    (b"cache-Control", b"no-cache, no-store, must-revalidate"),
]


@dataclass
class _Session:
    key: str
    token: str
    used: datetime


@dataclass(kw_only=True)
class Ppc:
    """The CGI, and its page for people."""

    device: Device
    realm: str = "SmartMeterGateway"
    algorithm: str = "MD5"
    opaque: str | None = field(default_factory=lambda: secrets.token_hex(16))
    silent: bool = False
    takes_get_signature: bool = True
    session_life: timedelta = timedelta(minutes=10)
    """After so long without a request a session is over."""
    session_in_form: bool = False
    """The session's key is the form field ``sessionid`` of each page and POST, and no cookie (firmware of 2018)."""
    _session: _Session | None = field(default=None, init=False)

    def refuse(self, request: Received) -> Response | None:
        """Refuse nothing before the login."""
        del request
        return None

    def owns(self, path: bytes) -> bool:
        """Whether there is something at this path."""
        return path in (b"/", CGI)

    def answer(self, request: Received) -> Response:
        """Answer a request that is logged in."""
        response = self._answer(request)
        response.headers = [*ODD_HEADERS, *response.headers]
        return response

    def _answer(self, request: Received) -> Response:
        if request.path == b"/":
            return page_for_people(self.device, "PPC Smart Meter Gateway")
        form = {name: values[-1] for name, values in parse_qs(request.body.decode("latin-1")).items()}
        keys = {form["sessionid"]} if "sessionid" in form else set()
        session, new = self._enter(keys if self.session_in_form else _session_cookies(request))
        if session is None:
            return _page("<p id='error'>Es ist bereits ein Benutzer angemeldet.</p>")
        # Today's client library sends no token at all; a wrong one is refused.
        if not new and form.get("tkn", session.token) != session.token:
            return _page("<p id='error'>Ung&uuml;ltige Sitzung.</p>", 403)
        response = self._act(form, session)
        if new and not self.session_in_form:
            cookie = f"session={session.key}; Path=/; Secure; HttpOnly"
            response.headers.append((b"Set-Cookie", cookie.encode("latin-1")))
        return response

    def _enter(self, keys: set[str]) -> tuple[_Session | None, bool]:
        """Return the session that has one of the keys, and whether it began now; None if another one is open."""
        now = self.device.clock()
        session = self._session
        if session is not None and now - session.used < self.session_life:
            if session.key not in keys:
                self.device.sessions_refused += 1
                return None, False
            session.used = now
            return session, False
        self.device.sessions_opened += 1
        self._session = _Session(secrets.token_hex(16), secrets.token_hex(32), now)
        return self._session, True

    def _act(self, form: dict[str, str], session: _Session) -> Response:
        action = form.get("action", "login")
        of_meter = form.get("mid") == METER_ID
        if action == "exportMeterValues" and of_meter:
            return self._export(ppc_exports.values(METER_NAME, *self._range(form)))
        if action == "exportMeterProfile" and of_meter:
            return self._export(ppc_exports.profile(METER_NAME))
        if action == "login":
            text = _menu(self._hidden(session)) + "<h1 id='headline_willkommen'>Willkommen</h1>"
        elif action == "meterform":
            text = _meter_form(self._hidden(session))
        elif action == "showMeterProfile" and of_meter:
            export = _export_form(self._hidden(session))
            text = _meter_form(self._hidden(session)) + _profile() + _values(self.device.last_capture()) + export
        elif action in ("swversions", "softwareVersions"):
            text = _versions()
        elif action in ("selftest", "logout"):
            self._session = None
            self.device.sessions_ended += 1
            self.device.restarts += action == "selftest"
            text = "<p>Sie sind abgemeldet.</p>"
        else:
            return _page("<p id='error'>Unbekannte Aktion.</p>", 400)
        return _page(text + _menu_end(self._hidden(session)) if action not in ("selftest", "logout") else text)

    def _hidden(self, session: _Session) -> str:
        """Return the hidden inputs that the client sends back."""
        token = f'<input type="hidden" name="tkn" value="{session.token}">'
        key = f'<input type="hidden" name="sessionid" value="{session.key}">'
        return token + key if self.session_in_form else token

    def _range(self, form: dict[str, str]) -> tuple[datetime, datetime]:
        last = self.device.last_capture()
        return _time(form.get("from"), last - timedelta(days=1)), min(_time(form.get("to"), last), last)

    def _export(self, xml: str) -> Response:
        signed = ppc_exports.sign(xml, self.device.identity)
        name = (b"Content-disposition", b'attachment; filename="export.xml.p7m"')
        return Response(200, [(b"content-Type", b"application/pkcs7-mime"), name], signed)


def _session_cookies(request: Received) -> set[str]:
    """Return the values of every cookie named ``session``."""
    pairs = [
        pair.strip().partition("=")
        for value in request.all_headers(b"cookie")
        for pair in value.decode("latin-1").split(";")
    ]
    return {value for name, _, value in pairs if name == "session"}


def _page(body: str, status: int = 200) -> Response:
    return Response.html(
        f"<html><head><title>Smart Meter Gateway</title>{HEAD}</head><body>"
        f"<div id='div_fwversion'>{FIRMWARE}</div><div class='content'><table></table>{body}</div></body></html>",
        status,
    )


def _menu(hidden: str) -> str:
    return (
        f'<form action="{CGI.decode()}" method="post">{hidden}<input type="hidden" name="action" value="meterform">'
        '<input type="submit" id="button_menu_zaehler" value="Z&auml;hler"></form>'
    )


def _meter_form(hidden: str) -> str:
    return (
        f'<form id="form_meterform" name="input" action="{CGI.decode()}" method="post">{hidden}'
        '<input type="hidden" name="action" value="meterform">'
        '<select name="mid" id="meterform_select_meter" size="1" onchange="this.form.submit();">'
        f'<option value="{METER_ID}" selected="">{METER_NAME}</option></select>&nbsp;'
        '<input type="button" id="form_meterform_button_zaehlerprofil" value="Z&auml;hlerprofil" onclick="'
        "document.forms['input'].elements['action'].value='showMeterProfile'; "
        "document.forms['input'].target='_self'; this.form.submit();\"><hr></form>"
    )


def _export_form(hidden: str) -> str:
    return (
        f'<form id="form_export" action="{CGI.decode()}" method="post">{hidden}'
        f'<input type="hidden" name="action" value="exportMeterValues">'
        f'<input type="hidden" name="mid" value="{METER_ID}">'
        '<input type="submit" id="button_export" value="Exportieren"></form>'
    )


def _menu_end(hidden: str) -> str:
    """Return what stands below each page: versions, self-test and logout."""
    items = {"softwareVersions": "Versionen", "selftest": "Selbsttest", "logout": "Abmelden"}
    buttons = "".join(
        f'<button name="action" value="{action}" id="button_{action}">{name}</button>'
        for action, name in items.items()
    )
    return f'<form action="{CGI.decode()}" method="post">{hidden}{buttons}</form>'


def _profile() -> str:
    cells = {
        "Name": METER_NAME,
        "Ger&auml;te-ID": "1emh0012345678",
        "Beschreibung": "",
        "Aktiv": "1",
        "Protokoll": "TLS",
    }
    cells |= {"Kanal": "", "Abtastrate": "900"}
    rows = "".join(f"<tr><td>{title}</td><td>{cell}</td></tr>" for title, cell in cells.items())
    return f"<table id='meterprofile'>{rows}</table>"


def _values(at: datetime) -> str:
    """Return the table of readings; only its first row has a timestamp."""
    rows = []
    for number, (obis, name) in enumerate(meter.OBIS.items(), 1):
        cells = {"timestamp": f"{at:%Y-%m-%d %H:%M:%S}"} if number == 1 else {}
        cells |= {
            "wert": f"{meter.register(obis, at) / 10_000:.4f}",
            "einheit": "kWh",
            "istvalide": "1",
            "name": METER_NAME,
            "obis": name,
        }
        columns = "".join(
            f'<td id="table_metervalues_col_{column}">{escape(text)}</td>' for column, text in cells.items()
        )
        rows.append(f'<tr id="table_metervalues_line{number}">{columns}</tr>')
    return f'<table id="metervalue"><tr><th>Zeitstempel</th><th>Wert</th></tr>{"".join(rows)}</table>'


def _versions() -> str:
    rows = "".join(
        f"<tr><td>{name}</td><td>{version}</td><td>{'0' * 64}</td></tr>"
        for name, version in (("SMGW", FIRMWARE), ("LMN", "1.0"), ("WAN", "1.2"))
    )
    return f"<table id='versions'><tr><th>Komponente</th><th>Version</th><th>Pr&uuml;fsumme</th></tr>{rows}</table>"


def _time(text: str | None, default: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return default
    return at if at.tzinfo else at.replace(tzinfo=UTC)
