"""The notifications of Home Assistant in German; their messages may be Markdown."""

from collections.abc import Mapping
from typing import Final

from smgw_proxy_addon.locales import Notice

LINK: Final = "Die Seite des Proxys öffnen"

WORDS: Final[Mapping[str, Notice]] = {
    "certificate_changed": Notice(
        "Das Smart-Meter-Gateway zeigt ein anderes Zertifikat",
        "Das Gerät unter {target} weist sich mit einem neuen Zertifikat aus; der Proxy sendet ihm deshalb nichts. "
        "Hat Ihr Messstellenbetreiber das Gateway getauscht oder aktualisiert, vertrauen Sie dem neuen auf der "
        "Seite des Proxys. Wenn nicht, fragen Sie erst Ihren Messstellenbetreiber.\n"
        "\n"
        "Jetzt gezeigt: {fingerprint}",
    ),
    "certificate_expires": Notice(
        "Das Zertifikat des Smart-Meter-Gateways läuft ab",
        "Das Zertifikat des Gateways unter {target} gilt bis {date}. Der Proxy arbeitet auf jeden Fall weiter, aber "
        "Ihr Messstellenbetreiber muss es erneuern; dann werden Sie gefragt, ob Sie dem neuen vertrauen.",
    ),
    "certificate_expired": Notice(
        "Das Zertifikat des Smart-Meter-Gateways ist abgelaufen",
        "Das Zertifikat des Gateways unter {target} ist am {date} abgelaufen. Der Proxy arbeitet trotzdem weiter. "
        "Sagen Sie es Ihrem Messstellenbetreiber, der es erneuern muss; dann werden Sie gefragt, ob Sie dem neuen "
        "vertrauen.",
    ),
    "gateway_unreachable": Notice(
        "Das Smart-Meter-Gateway ist nicht erreichbar",
        "Seit {since} ist keine Anfrage an das Gateway unter {target} gelungen. Die Netzwerkdiagnose auf der Seite "
        "des Proxys nennt die Ursache und was zu tun ist.",
    ),
    "login_stopped": Notice(
        "Das Smart-Meter-Gateway lehnt die Anmeldung ab",
        "Das Gateway unter {target} hat Benutzername oder Passwort zweimal hintereinander abgelehnt (Zugang "
        "{accounts}). Der Proxy sendet damit nichts mehr, damit sich das Gateway nicht sperrt. Berichtigen Sie die "
        "Option accounts der App, oder erlauben Sie auf der Seite des Proxys einen neuen Versuch.",
    ),
    "login_held_back": Notice(
        "Falsches Passwort für das Smart-Meter-Gateway",
        "Falsches Passwort in dem Programm mit der Adresse {addresses}: Das Gateway unter {target} hat seine "
        "Anmeldungen mehrmals hintereinander abgelehnt. Der Proxy hält weitere eine Weile zurück, damit sich das "
        "Gateway nicht sperrt. Berichtigen Sie Benutzername und Passwort in diesem Programm.",
    ),
    "log_folder": Notice(
        "Der Proxy des Smart-Meter-Gateways kann seine Protokolldateien nicht schreiben",
        "Der Proxy arbeitet trotzdem. Die Meldung lautet: {failure}",
    ),
}
