"""What an error means and what to do about it, in English and German, for a person who is no technician.

Owns the words for every code of ``errors.py`` and the choice of language and form by the request's headers.
Decides nothing about the error itself, and never shows anything but the facts that the error carries.
"""

import html
import json
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from smgw_proxy_addon.errors import ProxyError

Language = Literal["en", "de"]

FACTS: Final[Mapping[str, str]] = {
    "target": "the gateway's address as configured",
    "peer": "the address that the request came from",
    "host": "the name that the client used for the proxy",
    "seconds": "how long was waited, without unit",
    "file": "the path of a stored certificate",
    "folder": "the path of the folder of stored certificates",
    "pinned": "SHA-256 fingerprint of the trusted or configured certificate, 64 hexadecimal digits",
    "presented": "SHA-256 fingerprint of the certificate that the gateway shows, 64 hexadecimal digits",
    "pinned_not_before": "start of validity of the trusted certificate",
    "pinned_not_after": "end of validity of the trusted certificate",
    "presented_not_before": "start of validity of the certificate that the gateway shows",
    "presented_not_after": "end of validity of the certificate that the gateway shows",
    "presented_subject": "subject of the certificate that the gateway shows",
}
"""The facts that the texts can use; each may be missing, then the words around it are left out."""

_LONGEST_FACT: Final = 200
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_OPTIONAL: Final = re.compile(r"\[([^\[\]]*)\]")
_QUALITY: Final = re.compile(r"q\s*=\s*(0(\.[0-9]{0,3})?|1(\.0{0,3})?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Explanation:
    """One error in words: plain text, in which a line may end."""

    title: str
    cause: str
    remedy: str


def explain(error: ProxyError, language: str) -> Explanation:
    """Return the words for an error; an unknown language is answered in English."""
    return explain_code(error.code, language, error.facts)


def explain_code(code: str, language: str, known: Mapping[str, str]) -> Explanation:
    """Return the words for an error's code with the facts that are known; raises KeyError for an unknown code."""
    words = TEXTS[code]["de" if language == "de" else "en"]
    facts = {name: _printable(value) for name, value in known.items()}
    for name in ("pinned", "presented"):
        if _FINGERPRINT.fullmatch(facts.get(name, "")):
            facts[f"{name}_groups"] = " ".join(re.findall("....", facts[name].upper()))
    return Explanation(_fill(words.title, facts), _fill(words.cause, facts), _fill(words.remedy, facts))


def choose_language(accept_language: str | None) -> Language:
    """Return the language that the client likes best (RFC 9110 section 12.5.4), English if it names neither."""
    best: Language = "en"
    highest = 0.0
    for tag, quality in _weighted(accept_language):
        primary = tag.partition("-")[0]
        if quality > highest and primary in ("en", "de"):
            best, highest = "de" if primary == "de" else "en", quality
    return best


def wants_html(accept: str | None) -> bool:
    """Tell whether the client names text/html, as browsers do; ``*/*`` alone is a program."""
    return any(kind == "text/html" and quality > 0 for kind, quality in _weighted(accept))


def body(error: ProxyError, *, accept: str | None, accept_language: str | None) -> tuple[str, bytes]:
    """Return content type and body of the answer that explains an error: a page, or JSON.

    ``accept`` and ``accept_language`` are the request's headers of these names.
    """
    language = choose_language(accept_language)
    words = explain(error, language)
    if wants_html(accept):
        page = _PAGE.substitute(
            language=language,
            title=html.escape(words.title),
            cause=html.escape(words.cause),
            remedy=html.escape(words.remedy),
            remedy_title={"en": "What to do", "de": "Was zu tun ist"}[language],
            code=html.escape(error.code),
        )
        return "text/html; charset=utf-8", page.encode()
    answer = {"error": error.code, "title": words.title, "cause": words.cause, "remedy": words.remedy}
    return "application/json", json.dumps(answer, ensure_ascii=False).encode()


def _printable(value: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in value[:_LONGEST_FACT])


def _fill(text: str, facts: Mapping[str, str]) -> str:
    """Keep each part in square brackets if all its facts are known, else leave it out."""

    def part(match: re.Match[str]) -> str:
        needed = [name for _, name, _, _ in string.Formatter().parse(match[1]) if name]
        return match[1].format_map(facts) if all(facts.get(name) for name in needed) else ""

    return _OPTIONAL.sub(part, text)


def _weighted(header: str | None) -> list[tuple[str, float]]:
    """Read a header of values with weights (RFC 9110 section 12.4.2); one with a broken weight is left out."""
    values = []
    for entry in (header or "").split(","):
        value, *parameters = (part.strip() for part in entry.split(";"))
        weights = [part for part in parameters if part[:1] in ("q", "Q")]
        matches = [_QUALITY.fullmatch(part) for part in weights]
        if value and all(matches):
            values.append((value.lower(), min([float(match[1]) for match in matches if match], default=1.0)))
    return values


_PAGE: Final = string.Template("""<!DOCTYPE html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
body { max-width: 42rem; margin: 2rem auto; padding: 0 1rem; font: 1.05rem/1.5 system-ui, sans-serif;
       background: #fff; color: #1c1c1c }
h1 { font-size: 1.5rem; line-height: 1.25 }
h2 { font-size: 1.1rem }
p { white-space: pre-line; overflow-wrap: anywhere }
footer { margin-top: 2rem; border-top: 1px solid #767676; color: #595959; font-size: .9rem }
@media (prefers-color-scheme: dark) {
  body { background: #1c1c1c; color: #e6e6e6 }
  footer { color: #ababab }
}
</style>
</head>
<body>
<main>
<h1>$title</h1>
<p>$cause</p>
<h2>$remedy_title</h2>
<p>$remedy</p>
</main>
<footer><p>smgw-proxy · <code>$code</code></p></footer>
</body>
</html>
""")

TEXTS: Final[Mapping[str, Mapping[Language, Explanation]]] = {
    "internal_error": {
        "en": Explanation(
            "The proxy made a mistake",
            "Something happened in the proxy that it does not know how to handle.",
            "Try again. If it happens again, please report it together with the proxy's log.",
        ),
        "de": Explanation(
            "Im Proxy ist ein Fehler aufgetreten",
            "Im Proxy ist etwas geschehen, womit er nicht umgehen kann.",
            "Versuchen Sie es noch einmal. Geschieht es wieder, melden Sie es bitte zusammen mit dem Protokoll "
            "des Proxys.",
        ),
    },
    "bad_request": {
        "en": Explanation(
            "The proxy does not understand this request",
            "The program that asked did not send a valid HTTP request. Nothing was sent to the gateway.",
            "Check the address entered in that program: the proxy's own address and port, http:// for the HTTP "
            "port and https:// for the HTTPS port.",
        ),
        "de": Explanation(
            "Der Proxy versteht diese Anfrage nicht",
            "Das anfragende Programm hat keine gültige HTTP-Anfrage geschickt. An das Gateway wurde nichts gesendet.",
            "Prüfen Sie die Adresse, die in diesem Programm eingetragen ist: Adresse und Port des Proxys, mit "
            "http:// für den HTTP-Port und https:// für den HTTPS-Port.",
        ),
    },
    "foreign_network": {
        "en": Explanation(
            "This device may not use the proxy",
            "The request came from an address outside the local networks[: {peer}].",
            "Use the proxy from your home network only. Never make it reachable from the Internet.",
        ),
        "de": Explanation(
            "Dieses Gerät darf den Proxy nicht benutzen",
            "Die Anfrage kam von einer Adresse außerhalb der lokalen Netze[: {peer}].",
            "Benutzen Sie den Proxy nur aus Ihrem Heimnetz. Machen Sie ihn nie aus dem Internet erreichbar.",
        ),
    },
    "foreign_origin": {
        "en": Explanation(
            "Another website caused this request",
            "A page of another website made your browser send this request. The proxy refused it to protect "
            "your meter data.",
            "Type the proxy's address into the browser's address bar yourself.",
        ),
        "de": Explanation(
            "Eine fremde Website hat diese Anfrage ausgelöst",
            "Eine Seite einer anderen Website hat Ihren Browser diese Anfrage senden lassen. Der Proxy hat sie "
            "abgelehnt, um Ihre Zählerdaten zu schützen.",
            "Geben Sie die Adresse des Proxys selbst in die Adresszeile des Browsers ein.",
        ),
    },
    "method_not_allowed": {
        "en": Explanation(
            "This is no proxy for other addresses",
            "The program that asked uses smgw-proxy as a general web proxy, but it leads to your gateway only.",
            "Remove smgw-proxy from that program's proxy settings, and enter its address where the gateway's "
            "address is expected.",
        ),
        "de": Explanation(
            "Dies ist kein Proxy für andere Adressen",
            "Das anfragende Programm benutzt smgw-proxy als allgemeinen Web-Proxy; er führt aber nur zu Ihrem "
            "Gateway.",
            "Entfernen Sie smgw-proxy aus den Proxy-Einstellungen dieses Programms und tragen Sie seine Adresse "
            "dort ein, wo die Adresse des Gateways erwartet wird.",
        ),
    },
    "client_stalled": {
        "en": Explanation(
            "The request stopped half-way",
            "The program that asked did not finish its request[ within {seconds} seconds], so its place was "
            "given to others.",
            "Try again. If it happens again, check the network between that program and the proxy.",
        ),
        "de": Explanation(
            "Die Anfrage blieb stecken",
            "Das anfragende Programm hat seine Anfrage nicht[ innerhalb von {seconds} Sekunden] zu Ende "
            "geführt; sein Platz wurde deshalb freigegeben.",
            "Versuchen Sie es noch einmal. Geschieht es wieder, prüfen Sie das Netzwerk zwischen diesem "
            "Programm und dem Proxy.",
        ),
    },
    "client_gone": {
        "en": Explanation(
            "The program that asked went away",
            "The program that asked ended the connection before the gateway had answered.",
            "If it happens often, give that program more time: some gateways need 15 seconds for an answer.",
        ),
        "de": Explanation(
            "Das anfragende Programm war schon fort",
            "Das anfragende Programm hat die Verbindung beendet, bevor das Gateway geantwortet hatte.",
            "Geschieht es oft, geben Sie diesem Programm mehr Zeit: Manche Gateways brauchen 15 Sekunden für "
            "eine Antwort.",
        ),
    },
    "expectation_failed": {
        "en": Explanation(
            "The program asks for something unknown",
            "The request has an Expect header that neither the proxy nor a gateway knows.",
            "Switch this feature off in the program that asked, or report it to its authors.",
        ),
        "de": Explanation(
            "Das Programm verlangt etwas Unbekanntes",
            "Die Anfrage enthält einen Expect-Header, den weder der Proxy noch ein Gateway kennt.",
            "Schalten Sie diese Funktion im anfragenden Programm ab oder melden Sie es dessen Autoren.",
        ),
    },
    "misdirected_request": {
        "en": Explanation(
            "The proxy does not know itself by this name",
            "The request is for another name[ ({host})]. The proxy refuses names that it does not know, because "
            "websites could use them to reach your gateway through your browser.",
            "Use the proxy's IP address or the name of its computer. If the name is really yours, add it to the "
            'option "allowed_hosts".',
        ),
        "de": Explanation(
            "Unter diesem Namen kennt sich der Proxy nicht",
            "Die Anfrage gilt einem anderen Namen[ ({host})]. Namen, die er nicht kennt, lehnt der Proxy ab, weil "
            "Websites damit über Ihren Browser auf Ihr Gateway zugreifen könnten.",
            "Benutzen Sie die IP-Adresse des Proxys oder den Namen seines Rechners. Gehört der Name wirklich "
            'Ihnen, nehmen Sie ihn in die Option "allowed_hosts" auf.',
        ),
    },
    "queue_full": {
        "en": Explanation(
            "Too many requests at once",
            "A gateway can answer very few requests at a time, and too many are waiting already.",
            "Try again in a few seconds. If it happens often, let your programs ask less often: new readings "
            "appear only every 15 minutes.",
        ),
        "de": Explanation(
            "Zu viele Anfragen auf einmal",
            "Ein Gateway kann nur sehr wenige Anfragen gleichzeitig beantworten, und es warten schon zu viele.",
            "Versuchen Sie es in einigen Sekunden noch einmal. Geschieht es oft, lassen Sie Ihre Programme "
            "seltener fragen: Neue Messwerte gibt es nur alle 15 Minuten.",
        ),
    },
    "queue_timeout": {
        "en": Explanation(
            "The gateway was busy for too long",
            "The request waited[ {seconds} seconds] for its turn, but the gateway was still working on others.",
            "Try again in a few seconds. If it happens often, let your programs ask less often: new readings "
            "appear only every 15 minutes.",
        ),
        "de": Explanation(
            "Das Gateway war zu lange beschäftigt",
            "Die Anfrage hat[ {seconds} Sekunden lang] gewartet, bis sie an der Reihe ist, aber das Gateway war "
            "noch mit anderen beschäftigt.",
            "Versuchen Sie es in einigen Sekunden noch einmal. Geschieht es oft, lassen Sie Ihre Programme "
            "seltener fragen: Neue Messwerte gibt es nur alle 15 Minuten.",
        ),
    },
    "shutting_down": {
        "en": Explanation(
            "The proxy is stopping",
            "The proxy is being stopped or restarted and takes no new requests.",
            "Try again in half a minute.",
        ),
        "de": Explanation(
            "Der Proxy wird beendet",
            "Der Proxy wird gerade beendet oder neu gestartet und nimmt keine neuen Anfragen an.",
            "Versuchen Sie es in einer halben Minute noch einmal.",
        ),
    },
    "gateway_error": {
        "en": Explanation(
            "Something is wrong with the gateway",
            "The gateway[ at {target}] or the connection to it failed in a way that the proxy does not know.",
            "Try again in a minute. If it happens again, look into the proxy's log.",
        ),
        "de": Explanation(
            "Mit dem Gateway stimmt etwas nicht",
            "Das Gateway[ unter {target}] oder die Verbindung dorthin hat auf eine Weise versagt, die der Proxy "
            "nicht kennt.",
            "Versuchen Sie es in einer Minute noch einmal. Geschieht es wieder, sehen Sie in das Protokoll des "
            "Proxys.",
        ),
    },
    "gateway_unreachable": {
        "en": Explanation(
            "The gateway cannot be reached",
            "There is no way from this computer to the gateway[ at {target}]. A gateway answers only devices "
            "that have an address in its own network.",
            "Check the cable to the gateway's HAN port, and that this computer has an address in the gateway's "
            'network (for 10.11.120.2 for example 10.11.120.10). Check the option "target".',
        ),
        "de": Explanation(
            "Das Gateway ist nicht erreichbar",
            "Von diesem Rechner führt kein Weg zum Gateway[ unter {target}]. Ein Gateway antwortet nur Geräten, "
            "die eine Adresse in seinem eigenen Netz haben.",
            "Prüfen Sie das Kabel zur HAN-Schnittstelle des Gateways und ob dieser Rechner eine Adresse im Netz "
            'des Gateways hat (für 10.11.120.2 zum Beispiel 10.11.120.10). Prüfen Sie die Option "target".',
        ),
    },
    "gateway_name_unknown": {
        "en": Explanation(
            "Nobody knows the gateway's name",
            "The name of the gateway[, {target},] has no address in your network.",
            'Check the spelling in the option "target", or enter the gateway\'s IP address there.',
        ),
        "de": Explanation(
            "Der Name des Gateways ist unbekannt",
            "Zum Namen des Gateways[ ({target})] gibt es in Ihrem Netz keine Adresse.",
            'Prüfen Sie die Schreibweise in der Option "target" oder tragen Sie dort die IP-Adresse des '
            "Gateways ein.",
        ),
    },
    "gateway_refused": {
        "en": Explanation(
            "The gateway refuses the connection",
            "A device answers at the gateway's address[ ({target})], but it accepts no connection.",
            "Check that the address and the port are the gateway's and not another device's. Some gateways "
            "refuse everybody for some minutes after a restart.",
        ),
        "de": Explanation(
            "Das Gateway lehnt die Verbindung ab",
            "Unter der Adresse des Gateways[ ({target})] antwortet ein Gerät, nimmt aber keine Verbindung an.",
            "Prüfen Sie, ob Adresse und Port zum Gateway gehören und nicht zu einem anderen Gerät. Manche "
            "Gateways lehnen nach einem Neustart einige Minuten lang jede Verbindung ab.",
        ),
    },
    "gateway_connect_timeout": {
        "en": Explanation(
            "The gateway does not answer",
            "The connection to the gateway[ at {target}] did not come about[ within {seconds} seconds].",
            "Check the cable, and that this computer has an address in the gateway's own network. A gateway "
            "that was asked too often may block its HAN port: then wait, and ask your metering point operator "
            "if it stays like this.",
        ),
        "de": Explanation(
            "Das Gateway antwortet nicht",
            "Die Verbindung zum Gateway[ unter {target}] kam nicht[ innerhalb von {seconds} Sekunden] zustande.",
            "Prüfen Sie das Kabel und ob dieser Rechner eine Adresse im Netz des Gateways hat. Ein Gateway, das "
            "zu oft gefragt wurde, sperrt womöglich seine HAN-Schnittstelle: Warten Sie dann ab und fragen Sie "
            "Ihren Messstellenbetreiber, wenn es so bleibt.",
        ),
    },
    "gateway_tls_failed": {
        "en": Explanation(
            "No secure connection to the gateway",
            "The device at the gateway's address[ ({target})] and the proxy could not agree on an encrypted "
            "connection.",
            "Check that address and port are those of the gateway. The gateways of some makers cannot be used "
            "yet; the proxy's log tells the technical reason.",
        ),
        "de": Explanation(
            "Keine sichere Verbindung zum Gateway",
            "Das Gerät unter der Adresse des Gateways[ ({target})] und der Proxy konnten sich nicht auf eine "
            "verschlüsselte Verbindung einigen.",
            "Prüfen Sie, ob Adresse und Port die des Gateways sind. Die Gateways mancher Hersteller können noch "
            "nicht benutzt werden; den technischen Grund nennt das Protokoll des Proxys.",
        ),
    },
    "certificate_changed": {
        "en": Explanation(
            "The gateway shows another certificate than before",
            "The device[ at {target}] identifies itself by a new certificate. Either the gateway or its "
            "certificate was replaced, or another device pretends to be your gateway. Nothing was sent to it, "
            "not even a password.[\nTrusted so far: {pinned_groups}]"
            "[\n(valid from {pinned_not_before} to {pinned_not_after})]"
            "[\nShown now: {presented_groups}][\n({presented_subject})]"
            "[\n(valid from {presented_not_before} to {presented_not_after})]",
            "If your metering point operator replaced or updated the gateway, or confirms the new certificate, "
            "trust it. On the command line: smgw-proxy trust accept[ --fingerprint {presented}]\n"
            'In the app: open its page in Home Assistant and press "Trust the new certificate".\n'
            "If not, do not trust it: check what is connected, and ask your metering point operator.",
        ),
        "de": Explanation(
            "Das Gateway zeigt ein anderes Zertifikat als bisher",
            "Das Gerät[ unter {target}] weist sich mit einem neuen Zertifikat aus. Entweder wurde das Gateway oder "
            "sein Zertifikat ausgetauscht, oder ein anderes Gerät gibt sich als Ihr Gateway aus. Es wurde ihm "
            "nichts gesendet, nicht einmal ein Passwort.[\nBisher vertraut: {pinned_groups}]"
            "[\n(gültig von {pinned_not_before} bis {pinned_not_after})][\nJetzt gezeigt: {presented_groups}]"
            "[\n({presented_subject})][\n(gültig von {presented_not_before} bis {presented_not_after})]",
            "Hat Ihr Messstellenbetreiber das Gateway getauscht oder aktualisiert, oder bestätigt er das neue "
            "Zertifikat, dann vertrauen Sie ihm. Auf der Befehlszeile: smgw-proxy trust accept"
            "[ --fingerprint {presented}]\n"
            'In der App: Öffnen Sie ihre Seite in Home Assistant und drücken Sie auf "Dem neuen Zertifikat '
            'vertrauen".\n'
            "Wenn nicht, vertrauen Sie ihm nicht: Prüfen Sie, was angeschlossen ist, und fragen Sie Ihren "
            "Messstellenbetreiber.",
        ),
    },
    "certificate_not_allowed": {
        "en": Explanation(
            "The gateway does not show the certificate that you entered",
            "The device[ at {target}] identifies itself by another certificate than the configured one. Nothing "
            "was sent to it, not even a password.[\nConfigured: {pinned_groups}][\nShown: {presented_groups}]"
            "[\n({presented_subject})][\n(valid from {presented_not_before} to {presented_not_after})]",
            "Compare both with what your metering point operator tells you. If the new one is right, enter it in "
            'the option "certificate_fingerprint" (on the command line --fingerprint), or leave this option empty.',
        ),
        "de": Explanation(
            "Das Gateway zeigt nicht das eingetragene Zertifikat",
            "Das Gerät[ unter {target}] weist sich mit einem anderen Zertifikat aus als dem eingetragenen. Es wurde "
            "ihm nichts gesendet, nicht einmal ein Passwort.[\nEingetragen: {pinned_groups}]"
            "[\nGezeigt: {presented_groups}][\n({presented_subject})]"
            "[\n(gültig von {presented_not_before} bis {presented_not_after})]",
            "Vergleichen Sie beide mit den Angaben Ihres Messstellenbetreibers. Ist das neue richtig, tragen Sie "
            'es in die Option "certificate_fingerprint" ein (auf der Befehlszeile --fingerprint) oder lassen Sie '
            "diese Option leer.",
        ),
    },
    "pin_unreadable": {
        "en": Explanation(
            "The stored certificate cannot be read",
            "The file with the gateway's trusted certificate[ ({file})] is damaged or must not be read. To be "
            "safe, the proxy sends nothing to the gateway.",
            "Restore the file from a backup, or let the proxy learn the certificate again: smgw-proxy trust forget",
        ),
        "de": Explanation(
            "Das gespeicherte Zertifikat ist nicht lesbar",
            "Die Datei mit dem vertrauten Zertifikat des Gateways[ ({file})] ist beschädigt oder darf nicht "
            "gelesen werden. Zur Sicherheit sendet der Proxy nichts an das Gateway.",
            "Stellen Sie die Datei aus einer Sicherung wieder her, oder lassen Sie den Proxy das Zertifikat neu "
            "lernen: smgw-proxy trust forget",
        ),
    },
    "pin_not_written": {
        "en": Explanation(
            "The gateway's certificate cannot be stored",
            "The proxy could not write the gateway's certificate into its folder[ {folder}]. To be safe, it sends "
            "nothing to the gateway.",
            "Check that the disk is not full and that the proxy may write into this folder.",
        ),
        "de": Explanation(
            "Das Zertifikat des Gateways lässt sich nicht speichern",
            "Der Proxy konnte das Zertifikat des Gateways nicht in seinen Ordner[ {folder}] schreiben. Zur "
            "Sicherheit sendet er nichts an das Gateway.",
            "Prüfen Sie, ob der Datenträger voll ist und ob der Proxy in diesen Ordner schreiben darf.",
        ),
    },
    "gateway_connection_lost": {
        "en": Explanation(
            "The connection to the gateway broke",
            "The gateway[ at {target}] ended the connection before it answered. The proxy never sends a request "
            "twice, because it could have been carried out already.",
            "Try again.",
        ),
        "de": Explanation(
            "Die Verbindung zum Gateway ist abgebrochen",
            "Das Gateway[ unter {target}] hat die Verbindung beendet, bevor es geantwortet hat. Der Proxy sendet "
            "keine Anfrage zweimal, weil sie schon ausgeführt worden sein könnte.",
            "Versuchen Sie es noch einmal.",
        ),
    },
    "gateway_closed_without_answer": {
        "en": Explanation(
            "Probably wrong user name or password",
            "The gateway[ at {target}] ended the connection without an answer to the login. This is how gateways "
            "by Theben say that user name or password is wrong.",
            "Check user name and password: they are the HAN credentials of your metering point operator, not "
            "those of a customer portal. A full stop at the end of a text message is not part of the password. "
            "After several wrong logins the gateway refuses every login for some minutes: then wait.",
        ),
        "de": Explanation(
            "Vermutlich falscher Benutzername oder falsches Passwort",
            "Das Gateway[ unter {target}] hat die Verbindung ohne Antwort auf die Anmeldung beendet. So teilen "
            "Gateways von Theben mit, dass Benutzername oder Passwort falsch ist.",
            "Prüfen Sie Benutzername und Passwort: Es sind die HAN-Zugangsdaten Ihres Messstellenbetreibers, "
            "nicht die eines Kundenportals. Ein Punkt am Ende einer SMS gehört nicht zum Passwort. Nach mehreren "
            "falschen Anmeldungen lehnt das Gateway einige Minuten lang jede Anmeldung ab: Warten Sie dann.",
        ),
    },
    "gateway_bad_answer": {
        "en": Explanation(
            "The gateway's answer makes no sense",
            "What came from the gateway's address[ ({target})] is not a valid HTTP answer.",
            "Check that address and port are those of the gateway. If they are, restart the proxy, and report it "
            "with the proxy's log if it happens again.",
        ),
        "de": Explanation(
            "Die Antwort des Gateways ist unverständlich",
            "Was von der Adresse des Gateways[ ({target})] kam, ist keine gültige HTTP-Antwort.",
            "Prüfen Sie, ob Adresse und Port die des Gateways sind. Wenn ja, starten Sie den Proxy neu, und "
            "melden Sie es mit dem Protokoll des Proxys, wenn es wieder geschieht.",
        ),
    },
    "gateway_answer_truncated": {
        "en": Explanation(
            "The gateway's answer is incomplete",
            "The gateway[ at {target}] ended the connection in the middle of its answer.",
            "Try again. If it happens often, check the cable to the gateway.",
        ),
        "de": Explanation(
            "Die Antwort des Gateways ist unvollständig",
            "Das Gateway[ unter {target}] hat die Verbindung mitten in seiner Antwort beendet.",
            "Versuchen Sie es noch einmal. Geschieht es oft, prüfen Sie das Kabel zum Gateway.",
        ),
    },
    "gateway_timeout": {
        "en": Explanation(
            "The gateway takes too long",
            "The gateway[ at {target}] took the request and did not answer[ within {seconds} seconds].",
            "Wait a minute and try again. If the gateway needs longer, for example for a long export, raise the "
            'option "read_timeout".',
        ),
        "de": Explanation(
            "Das Gateway braucht zu lange",
            "Das Gateway[ unter {target}] hat die Anfrage angenommen und nicht[ innerhalb von {seconds} Sekunden] "
            "geantwortet.",
            "Warten Sie eine Minute und versuchen Sie es noch einmal. Braucht das Gateway länger, zum Beispiel "
            'für einen langen Export, erhöhen Sie die Option "read_timeout".',
        ),
    },
}
"""Title, cause and remedy by code and language; parts in square brackets need their facts (see FACTS)."""
