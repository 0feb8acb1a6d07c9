"""The words of the network diagnosis, English and German: a sentence and a remedy for each code, for no technician.

Owns the words only: codes and facts come from ``diagnosis`` and from the doctor. A fact that a text needs is always
given with its code.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Language = Literal["en", "de"]


class Words(NamedTuple):
    """One outcome; the remedy is empty where there is nothing to do."""

    sentence: str
    remedy: str = ""


def tell(code: str, facts: Mapping[str, str], language: str) -> Words:
    """Return sentence and remedy; an unknown language is answered in English."""
    sentence, remedy = TEXTS[code]["de" if language == "de" else "en"]
    shown = {name: "".join(c if c.isprintable() else "?" for c in value) for name, value in facts.items()}
    return Words(sentence.format_map(shown), remedy.format_map(shown))


def step_name(step: str, language: str) -> str:
    """Return what people call a step."""
    return STEPS[step]["de" if language == "de" else "en"]


STEPS: Final[Mapping[str, Mapping[Language, str]]] = {
    "name": {"en": "Name", "de": "Name"},
    "address": {"en": "Network address", "de": "Netzwerkadresse"},
    "tcp": {"en": "Connection", "de": "Verbindung"},
    "tls": {"en": "Encryption", "de": "Verschlüsselung"},
    "certificate": {"en": "Certificate", "de": "Zertifikat"},
    "http": {"en": "Answer", "de": "Antwort"},
}

_HOW_TO_ADD_EN: Final = (
    "Give it one, in one of three ways.\n"
    "(A) A second address on the connection that Home Assistant already has: Settings → System → Network → Configure "
    "network interfaces → {interface} → IPv4. First note what stands there (address {kept}, gateway {router}, DNS "
    "{nameservers}). Choose Static instead of Automatic and keep these values; + Add address: {add}, netmask "
    "{netmask}; Save. The same as a command: {command}\n"
    "(B) A network port of its own (second port or USB adapter), connected to the gateway; there only: IPv4 Static, "
    "address {add}, netmask {netmask}, Gateway address {gateway} (the field must not be empty), DNS empty, IPv6 "
    "Disabled.\n"
    "(C) A small router with NAT beside the meter, and a static route to {network} over it on this computer.\n"
    "No DHCP and no address from another network will do: the gateway answers only neighbours. A ping proves nothing."
)
_HOW_TO_ADD_DE: Final = (
    "Geben Sie ihm eine, auf einem von drei Wegen.\n"
    "(A) Eine zweite Adresse auf der Verbindung, die Home Assistant schon hat: Einstellungen → System → Netzwerk → "
    "Netzwerkschnittstellen konfigurieren → {interface} → IPv4. Notieren Sie zuerst, was dort steht (Adresse {kept}, "
    "Gateway {router}, DNS {nameservers}). Wählen Sie Statisch statt Automatisch und behalten Sie diese Werte; "
    "+ Adresse hinzufügen: {add}, Netzmaske {netmask}; Speichern. Dasselbe als Befehl: {command}\n"
    "(B) Ein eigener Netzwerkanschluss (zweiter Anschluss oder USB-Adapter) zum Gateway; nur dort: IPv4 Statisch, "
    "Adresse {add}, Netzmaske {netmask}, Gateway-Adresse {gateway} (das Feld darf nicht leer sein), DNS leer, IPv6 "
    "Deaktiviert.\n"
    "(C) Ein kleiner Router mit NAT neben dem Zähler und eine statische Route nach {network} über ihn auf diesem "
    "Rechner.\n"
    "DHCP hilft nicht und eine Adresse aus einem anderen Netz auch nicht: Das Gateway antwortet nur Nachbarn. Ein "
    "Ping "
    "beweist nichts."
)

TEXTS: Final[Mapping[str, Mapping[Language, Words]]] = {
    "not_tried": {
        "en": Words("Not tried, because of what is told above or below."),
        "de": Words("Nicht versucht, aus dem Grund, der darüber oder darunter steht."),
    },
    "kept": {
        "en": Words("In use: the proxy keeps a connection to {at}, so no second one was opened."),
        "de": Words("In Betrieb: Der Proxy hält eine Verbindung zu {at}; eine zweite wurde nicht geöffnet."),
    },
    "failed": {
        "en": Words(
            "This step failed in a way that is not known: {reason}.", "Please report it with the proxy's log."
        ),
        "de": Words(
            "Dieser Schritt ist auf unbekannte Weise fehlgeschlagen: {reason}.",
            "Bitte melden Sie es mit dem Protokoll des Proxys.",
        ),
    },
    # Name
    "name_ok": {
        "en": Words("The name {host} belongs to the address {addresses}."),
        "de": Words("Der Name {host} gehört zur Adresse {addresses}."),
    },
    "name_unknown": {
        "en": Words(
            "Nobody knows an address for the name {host}.",
            'Check its spelling in the option "target", or better enter the gateway\'s IP address there, from the '
            "letter of your metering point operator. Names such as smgw.local work only inside the gateway's own "
            "network.",
        ),
        "de": Words(
            "Niemand kennt eine Adresse zum Namen {host}.",
            'Prüfen Sie die Schreibweise in der Option "target", oder tragen Sie dort besser die IP-Adresse des '
            "Gateways ein, aus dem Brief Ihres Messstellenbetreibers. Namen wie smgw.local gelten nur im Netz des "
            "Gateways selbst.",
        ),
    },
    # Address
    "address_ok": {
        "en": Words("This computer has the address {own} in the gateway's network, on {interface}."),
        "de": Words("Dieser Rechner hat im Netz des Gateways die Adresse {own}, an {interface}."),
    },
    "address_reached": {
        "en": Words("This computer reaches the gateway."),
        "de": Words("Dieser Rechner erreicht das Gateway."),
    },
    "address_routed": {
        "en": Words("This computer has no address in {network} but reaches the gateway, over a router in between."),
        "de": Words(
            "Dieser Rechner hat keine Adresse in {network}, erreicht das Gateway aber über einen Router dazwischen.",
        ),
    },
    "address_not_known": {
        "en": Words("It cannot be told from here whether this computer has an address in the gateway's network."),
        "de": Words("Ob dieser Rechner im Netz des Gateways eine Adresse hat, ist von hier aus nicht festzustellen."),
    },
    "address_missing_app": {
        "en": Words("This computer has no address in the gateway's network (probably {network}).", _HOW_TO_ADD_EN),
        "de": Words(
            "Dieser Rechner hat keine Adresse im Netz des Gateways (vermutlich {network}).",
            _HOW_TO_ADD_DE,
        ),
    },
    "address_missing": {
        "en": Words(
            "This computer has no address in the gateway's network (probably {network}).",
            "Give it one on the network port that leads to the gateway: {add}, netmask {netmask}. To try it until "
            "the "
            "next start: sudo ip address add {add}/{prefix} dev {interface}\n"
            "If that helps, enter it in the network settings of your system. Or put a small router with NAT beside "
            "the "
            "meter, and a static route to {network} over it on this computer.\n"
            "An address from another network will not do: the gateway answers only neighbours. A ping proves "
            "nothing.",
        ),
        "de": Words(
            "Dieser Rechner hat keine Adresse im Netz des Gateways (vermutlich {network}).",
            "Geben Sie ihm eine auf dem Netzwerkanschluss, der zum Gateway führt: {add}, Netzmaske {netmask}. Zum "
            "Ausprobieren bis zum nächsten Start: sudo ip address add {add}/{prefix} dev {interface}\n"
            "Hilft das, tragen Sie sie in die Netzwerkeinstellungen Ihres Systems ein. Oder setzen Sie einen kleinen "
            "Router mit NAT neben den Zähler und auf diesem Rechner eine statische Route nach {network} über ihn.\n"
            "Eine Adresse aus einem anderen Netz hilft nicht: Das Gateway antwortet nur Nachbarn. Ein Ping beweist "
            "nichts.",
        ),
    },
    "address_missing_ipv6": {
        "en": Words(
            "This computer has no address in the gateway's network (probably {network}).",
            "Use the gateway's IPv4 address, if it has one; or give this computer an IPv6 address in {network}.",
        ),
        "de": Words(
            "Dieser Rechner hat keine Adresse im Netz des Gateways (vermutlich {network}).",
            "Benutzen Sie die IPv4-Adresse des Gateways, wenn es eine hat; oder geben Sie diesem Rechner eine "
            "IPv6-Adresse in {network}.",
        ),
    },
    "address_down": {
        "en": Words(
            "The network port {interface} ({own}) leads to the gateway, but it is switched off or has no cable.",
            "Plug in the cable between {interface} and the gateway at both ends; its lights must be on. Check that "
            "the port is not disabled in the network settings.",
        ),
        "de": Words(
            "Der Netzwerkanschluss {interface} ({own}) führt zum Gateway, ist aber abgeschaltet oder ohne Kabel.",
            "Stecken Sie das Kabel zwischen {interface} und Gateway an beiden Enden ein; die Lämpchen müssen "
            "leuchten. "
            "Prüfen Sie, ob der Anschluss in den Netzwerkeinstellungen deaktiviert ist.",
        ),
    },
    "address_is_own": {
        "en": Words(
            "This computer itself has the gateway's address {address}.",
            "Give this computer another address in the same network: no two devices may have the same one.",
        ),
        "de": Words(
            "Dieser Rechner hat selbst die Adresse des Gateways, {address}.",
            "Geben Sie diesem Rechner eine andere Adresse im selben Netz: Keine zwei Geräte dürfen dieselbe haben.",
        ),
    },
    "address_no_zone": {
        "en": Words(
            "This address is valid on one network port only, and this computer has none named {interface}.",
            'Name the port that leads to the gateway after the address in the option "target", such as %eth0.',
        ),
        "de": Words(
            "Diese Adresse gilt nur an einem bestimmten Netzwerkanschluss, und einen namens {interface} gibt es "
            "nicht.",
            'Nennen Sie in der Option "target" nach der Adresse den Anschluss, der zum Gateway führt, etwa %eth0.',
        ),
    },
    "address_link_local_app": {
        "en": Words(
            "An address that begins with fe80 cannot be reached from inside a Home Assistant app.",
            'Enter the gateway\'s IPv4 address in the option "target"; your metering point operator knows it.',
        ),
        "de": Words(
            "Eine Adresse, die mit fe80 beginnt, ist aus einer Home-Assistant-App nicht erreichbar.",
            'Tragen Sie in die Option "target" die IPv4-Adresse des Gateways ein; Ihr Messstellenbetreiber kennt '
            "sie.",
        ),
    },
    # TCP
    "tcp_ok": {
        "en": Words("{at} accepts connections."),
        "de": Words("{at} nimmt Verbindungen an."),
    },
    "tcp_busy": {
        "en": Words(
            "The gateway was busy with other requests all the time.",
            "Try again in a minute. If it is always so, let your programs ask less often: new readings appear only "
            "every 15 minutes.",
        ),
        "de": Words(
            "Das Gateway war die ganze Zeit mit anderen Anfragen beschäftigt.",
            "Versuchen Sie es in einer Minute noch einmal. Ist es immer so, lassen Sie Ihre Programme seltener "
            "fragen: "
            "Neue Messwerte gibt es nur alle 15 Minuten.",
        ),
    },
    "tcp_refused": {
        "en": Words(
            "A device at {at} refuses the connection.",
            "Check that this is the gateway's address, and not that of another device. After a restart, some "
            "gateways refuse for some minutes: then wait.",
        ),
        "de": Words(
            "Ein Gerät unter {at} lehnt die Verbindung ab.",
            "Prüfen Sie, ob dies die Adresse des Gateways ist und nicht die eines anderen Geräts. Manche Gateways "
            "lehnen nach einem Neustart einige Minuten lang ab: Warten Sie dann.",
        ),
    },
    "tcp_refused_port": {
        "en": Words(
            "A device answers at this address, but nobody at port {port}.",
            'Gateways listen at port 443: leave the port ":{port}" out of the option "target".',
        ),
        "de": Words(
            "Unter dieser Adresse antwortet ein Gerät, aber niemand am Port {port}.",
            'Gateways lauschen am Port 443: Lassen Sie den Port ":{port}" in der Option "target" weg.',
        ),
    },
    "tcp_timeout": {
        "en": Words(
            "Nobody answers at {at}: no connection within {seconds} seconds.",
            "Look at the network address above first. If that is right, check the cable and the gateway's address; "
            "something on the way (a firewall, a router without NAT) may swallow the packets, or the gateway is "
            "off. A "
            "gateway with a blocked HAN port is silent, too: your metering point operator can tell.",
        ),
        "de": Words(
            "Unter {at} antwortet niemand: keine Verbindung innerhalb von {seconds} Sekunden.",
            "Sehen Sie zuerst nach der Netzwerkadresse weiter oben. Stimmt sie, prüfen Sie das Kabel und die Adresse "
            "des Gateways; etwas auf dem Weg (eine Firewall, ein Router ohne NAT) verschluckt womöglich die Pakete, "
            "oder das Gateway ist aus. Auch ein Gateway mit gesperrter HAN-Schnittstelle schweigt: Ihr "
            "Messstellenbetreiber weiß es.",
        ),
    },
    "tcp_no_route": {
        "en": Words(
            "This computer knows no way to {at}.",
            "Give it an address in the gateway's network, as told above.",
        ),
        "de": Words(
            "Dieser Rechner kennt keinen Weg zu {at}.",
            "Geben Sie ihm eine Adresse im Netz des Gateways, wie oben beschrieben.",
        ),
    },
    "tcp_nobody": {
        "en": Words(
            "There is no device with this address in the gateway's network ({at}).",
            "Check the cable at both ends, that it is in the gateway's HAN socket (not WAN or LMN), and the address: "
            "it is in the letter of your metering point operator.",
        ),
        "de": Words(
            "Im Netz des Gateways gibt es kein Gerät mit dieser Adresse ({at}).",
            "Prüfen Sie das Kabel an beiden Enden, ob es in der HAN-Buchse des Gateways steckt (nicht WAN oder LMN), "
            "und die Adresse: Sie steht im Brief Ihres Messstellenbetreibers.",
        ),
    },
    # TLS
    "tls_ok": {
        "en": Words("The encrypted connection works."),
        "de": Words("Die verschlüsselte Verbindung steht."),
    },
    "tls_silent": {
        "en": Words(
            "The gateway accepts the connection and then says nothing: it seems to be locked.",
            "Stop every program that asks the gateway, wait for an hour, and try again. If it stays like this, ask "
            "your metering point operator to unlock the HAN port; that can take weeks.",
        ),
        "de": Words(
            "Das Gateway nimmt die Verbindung an und schweigt dann: Es scheint gesperrt zu sein.",
            "Halten Sie jedes Programm an, das das Gateway fragt, warten Sie eine Stunde und versuchen Sie es noch "
            "einmal. Bleibt es so, bitten Sie Ihren Messstellenbetreiber, die HAN-Schnittstelle zu entsperren; das "
            "kann Wochen dauern.",
        ),
    },
    "tls_closed": {
        "en": Words(
            "The device at {at} closes the connection before it is encrypted.",
            "Close other connections to the gateway (browser, TRuDI, other integrations), wait some minutes and try "
            "again. Check that address and port are the gateway's.",
        ),
        "de": Words(
            "Das Gerät unter {at} schließt die Verbindung, bevor sie verschlüsselt ist.",
            "Beenden Sie andere Verbindungen zum Gateway (Browser, TRuDI, andere Integrationen), warten Sie einige "
            "Minuten und versuchen Sie es noch einmal. Prüfen Sie, ob Adresse und Port die des Gateways sind.",
        ),
    },
    "tls_plain": {
        "en": Words(
            "What answers at {at} does not speak HTTPS: no Smart Meter Gateway, or the wrong port.",
            'Check the option "target": a gateway speaks HTTPS only, at port 443. If there is another device (a '
            "router, a printer), it has the wrong address.",
        ),
        "de": Words(
            "Was unter {at} antwortet, spricht kein HTTPS: kein Smart Meter Gateway, oder der falsche Port.",
            'Prüfen Sie die Option "target": Ein Gateway spricht nur HTTPS, am Port 443. Ist dort ein anderes Gerät '
            "(ein Router, ein Drucker), dann stimmt die Adresse nicht.",
        ),
    },
    "tls_illegal_parameter": {
        "en": Words(
            'The gateway ends the handshake with alert 47 ("illegal parameter"), as Sagemcom SMARTY IQ does. This '
            "gateway is not supported yet.",
            "There is nothing that you can set. It rejects what every ordinary program sends, browsers and curl "
            "included.",
        ),
        "de": Words(
            'Das Gateway bricht den Verbindungsaufbau mit Alarm 47 ab ("illegal parameter"), wie es Sagemcom SMARTY '
            "IQ "
            "tut. Dieses Gateway wird noch nicht unterstützt.",
            "Sie können hier nichts einstellen. Es lehnt ab, was jedes übliche Programm sendet, auch Browser und "
            "curl.",
        ),
    },
    "tls_no_common": {
        "en": Words(
            'The device at {at} ends the handshake with alert 40 ("handshake failure"): it finds no cipher or curve '
            "that both sides know.",
            "Check that address and port are the gateway's. If they are, please report it with the maker and model "
            "of "
            "your gateway.",
        ),
        "de": Words(
            'Das Gerät unter {at} bricht den Verbindungsaufbau mit Alarm 40 ab ("handshake failure"): Es findet kein '
            "Verfahren und keine Kurve, die beide Seiten kennen.",
            "Prüfen Sie, ob Adresse und Port die des Gateways sind. Wenn ja, melden Sie es bitte mit Hersteller und "
            "Modell Ihres Gateways.",
        ),
    },
    "tls_curve": {
        "en": Words(
            "The device at {at} ends the handshake ({reason}). This computer's TLS library does not offer it the "
            "curves "
            "that some gateways demand (brainpool).",
            "Check that this is the gateway. If it is, use the app or the container image: they offer these curves.",
        ),
        "de": Words(
            "Das Gerät unter {at} bricht den Verbindungsaufbau ab ({reason}). Die TLS-Bibliothek dieses Rechners "
            "bietet "
            "ihm die Kurven nicht an, die manche Gateways verlangen (Brainpool).",
            "Prüfen Sie, ob dies das Gateway ist. Wenn ja, benutzen Sie die App oder das Container-Image: Sie bieten "
            "diese Kurven an.",
        ),
    },
    "tls_version": {
        "en": Words(
            "The device at {at} does not speak TLS 1.2 ({reason}), so it is no Smart Meter Gateway.",
            'Check address and port in the option "target".',
        ),
        "de": Words(
            "Das Gerät unter {at} spricht kein TLS 1.2 ({reason}), ist also kein Smart Meter Gateway.",
            'Prüfen Sie Adresse und Port in der Option "target".',
        ),
    },
    "tls_client_certificate": {
        "en": Words(
            "The device at {at} asks for a certificate of the proxy, which gateways at the HAN port do not.",
            'Check address and port in the option "target".',
        ),
        "de": Words(
            "Das Gerät unter {at} verlangt ein Zertifikat des Proxys; das tut kein Gateway am HAN-Anschluss.",
            'Prüfen Sie Adresse und Port in der Option "target".',
        ),
    },
    "tls_name": {
        "en": Words(
            'The device at {at} does not know itself by the name {host} (alert 112, "unrecognized name").',
            'Enter the gateway\'s IP address in the option "target".',
        ),
        "de": Words(
            'Das Gerät unter {at} kennt sich nicht unter dem Namen {host} (Alarm 112, "unrecognized name").',
            'Tragen Sie in die Option "target" die IP-Adresse des Gateways ein.',
        ),
    },
    "tls_internal_error": {
        "en": Words(
            'The gateway ends the handshake because of a fault of its own (alert 80, "internal error").',
            "Wait some minutes and try again. If it stays like this, ask your metering point operator to restart it.",
        ),
        "de": Words(
            'Das Gateway bricht den Verbindungsaufbau wegen eines eigenen Fehlers ab (Alarm 80, "internal error").',
            "Warten Sie einige Minuten und versuchen Sie es noch einmal. Bleibt es so, bitten Sie Ihren "
            "Messstellenbetreiber um einen Neustart.",
        ),
    },
    "tls_access_denied": {
        "en": Words(
            'The gateway denies access (alert 49, "access denied").',
            "Wait for an hour and try again. If it stays like this, ask your metering point operator whether your "
            "HAN "
            "access is open.",
        ),
        "de": Words(
            'Das Gateway verweigert den Zugang (Alarm 49, "access denied").',
            "Warten Sie eine Stunde und versuchen Sie es noch einmal. Bleibt es so, fragen Sie Ihren "
            "Messstellenbetreiber, ob Ihr HAN-Zugang freigeschaltet ist.",
        ),
    },
    "tls_alert": {
        "en": Words(
            "The device at {at} ends the handshake with an alert: {reason}.",
            "Check that this is the gateway. If it is, please report this message and the maker of your gateway.",
        ),
        "de": Words(
            "Das Gerät unter {at} bricht den Verbindungsaufbau mit einem Alarm ab: {reason}.",
            "Prüfen Sie, ob dies das Gateway ist. Wenn ja, melden Sie bitte diese Meldung und den Hersteller Ihres "
            "Gateways.",
        ),
    },
    "tls_failed": {
        "en": Words(
            "The encrypted connection to {at} did not come about: {reason}.",
            "Check that this is the gateway. If it is, please report this message and the maker of your gateway.",
        ),
        "de": Words(
            "Die verschlüsselte Verbindung zu {at} kam nicht zustande: {reason}.",
            "Prüfen Sie, ob dies das Gateway ist. Wenn ja, melden Sie bitte diese Meldung und den Hersteller Ihres "
            "Gateways.",
        ),
    },
    # Certificate
    "certificate_ok": {
        "en": Words("It is the trusted certificate, valid to {not_after}: {groups} ({subject})."),
        "de": Words("Es ist das vertraute Zertifikat, gültig bis {not_after}: {groups} ({subject})."),
    },
    "certificate_new": {
        "en": Words(
            "No certificate is trusted yet. This one would be, at the first request: {groups} ({subject}, valid to "
            "{not_after}). Nothing was stored.",
            "Compare it with what your metering point operator tells you, if you can.",
        ),
        "de": Words(
            "Noch wird keinem Zertifikat vertraut. Dieses wäre es bei der ersten Anfrage: {groups} ({subject}, "
            "gültig "
            "bis {not_after}). Gespeichert wurde nichts.",
            "Vergleichen Sie es, wenn möglich, mit den Angaben Ihres Messstellenbetreibers.",
        ),
    },
    "certificate_learnt": {
        "en": Words("This was the first contact: the certificate is trusted from now on: {groups} ({subject})."),
        "de": Words("Dies war der erste Kontakt: Dem Zertifikat wird ab jetzt vertraut: {groups} ({subject})."),
    },
    "certificate_expired": {
        "en": Words(
            "It is the trusted certificate, but it expired on {not_after}: {groups} ({subject}). The proxy goes on.",
            "Tell your metering point operator, who has to renew it. Then the certificate changes: trust the new one "
            "when it does.",
        ),
        "de": Words(
            "Es ist das vertraute Zertifikat, es ist aber am {not_after} abgelaufen: {groups} ({subject}). Der Proxy "
            "arbeitet weiter.",
            "Sagen Sie es Ihrem Messstellenbetreiber, der es erneuern muss. Danach zeigt das Gateway ein anderes "
            "Zertifikat: Vertrauen Sie dann dem neuen.",
        ),
    },
    "certificate_expires_soon": {
        "en": Words(
            "It is the trusted certificate, but it expires on {not_after}: {groups} ({subject}).",
            "Your metering point operator will renew it. Then the certificate changes: trust the new one when it "
            "does.",
        ),
        "de": Words(
            "Es ist das vertraute Zertifikat, es läuft aber am {not_after} ab: {groups} ({subject}).",
            "Ihr Messstellenbetreiber wird es erneuern. Danach zeigt das Gateway ein anderes Zertifikat: Vertrauen "
            "Sie "
            "dann dem neuen.",
        ),
    },
    "certificate_not_yet_valid": {
        "en": Words(
            "It is the trusted certificate, but by this computer's clock it is not valid yet: {groups} ({subject}).",
            "Check date and time of this computer.",
        ),
        "de": Words(
            "Es ist das vertraute Zertifikat, nach der Uhr dieses Rechners gilt es aber noch nicht: {groups} "
            "({subject}).",
            "Prüfen Sie Datum und Uhrzeit dieses Rechners.",
        ),
    },
    "certificate_changed": {
        "en": Words(
            "The device shows another certificate than the trusted one. Nothing was sent to it.\n"
            "Trusted: {pinned_groups}\nShown: {presented_groups} ({presented_subject})",
            "If your metering point operator replaced or updated the gateway, or confirms the new certificate, trust "
            "it: on the status page, or with smgw-proxy trust accept --fingerprint {presented}\n"
            "If not, do not: check what is connected, and ask your metering point operator.",
        ),
        "de": Words(
            "Das Gerät zeigt ein anderes Zertifikat als das vertraute. Es wurde ihm nichts gesendet.\n"
            "Vertraut: {pinned_groups}\nGezeigt: {presented_groups} ({presented_subject})",
            "Hat Ihr Messstellenbetreiber das Gateway getauscht oder aktualisiert, oder bestätigt er das neue "
            "Zertifikat, dann vertrauen Sie ihm: auf der Statusseite oder mit smgw-proxy trust accept --fingerprint "
            "{presented}\n"
            "Wenn nicht, dann nicht: Prüfen Sie, was angeschlossen ist, und fragen Sie Ihren Messstellenbetreiber.",
        ),
    },
    "certificate_not_allowed": {
        "en": Words(
            "The device shows another certificate than the one that you entered. Nothing was sent to it.\n"
            "Entered: {pinned_groups}\nShown: {presented_groups} ({presented_subject})",
            'If the one shown is right, enter it in the option "certificate_fingerprint", or leave that option '
            "empty.",
        ),
        "de": Words(
            "Das Gerät zeigt ein anderes Zertifikat als das eingetragene. Es wurde ihm nichts gesendet.\n"
            "Eingetragen: {pinned_groups}\nGezeigt: {presented_groups} ({presented_subject})",
            'Ist das gezeigte richtig, tragen Sie es in die Option "certificate_fingerprint" ein, oder lassen Sie '
            "diese Option leer.",
        ),
    },
    "pin_unreadable": {
        "en": Words(
            "The stored certificate cannot be read: {file} ({problem}). The gateway was not asked.",
            "Restore the file from a backup, or forget it, then the next certificate will be trusted: smgw-proxy "
            "trust "
            "forget",
        ),
        "de": Words(
            "Das gespeicherte Zertifikat ist nicht lesbar: {file} ({problem}). Das Gateway wurde nicht gefragt.",
            "Stellen Sie die Datei aus einer Sicherung wieder her, oder vergessen Sie sie, dann wird dem nächsten "
            "Zertifikat vertraut: smgw-proxy trust forget",
        ),
    },
    "pin_not_written": {
        "en": Words(
            "The certificate cannot be stored in {folder} ({problem}), so nothing is sent to the gateway.",
            "Check that the disk is not full and that the proxy may write into this folder.",
        ),
        "de": Words(
            "Das Zertifikat lässt sich nicht in {folder} speichern ({problem}); an das Gateway wird nichts gesendet.",
            "Prüfen Sie, ob der Datenträger voll ist und ob der Proxy in diesen Ordner schreiben darf.",
        ),
    },
    # HTTP
    "http_ok": {
        "en": Words("It asks for user name and password as a Smart Meter Gateway does. All is ready."),
        "de": Words("Es verlangt Benutzername und Passwort, wie ein Smart Meter Gateway es tut. Alles ist bereit."),
    },
    "http_forbidden": {
        "en": Words(
            "The gateway refuses the request (403), which was for the host {sent_host}. Gateways by EMH accept only "
            "their own name there.",
            'Set the option "host_header" to smgw.local or to the gateway\'s own address; without it the option '
            '"target" is used.',
        ),
        "de": Words(
            "Das Gateway lehnt die Anfrage ab (403); sie galt dem Host {sent_host}. Gateways von EMH nehmen dort nur "
            "ihren eigenen Namen an.",
            'Setzen Sie die Option "host_header" auf smgw.local oder auf die eigene Adresse des Gateways; ohne sie '
            'gilt die Option "target".',
        ),
    },
    "http_other_login": {
        "en": Words(
            "The device asks for a login, but not in the way of Smart Meter Gateways. Its certificate says: "
            "{subject}.",
            'This seems to be another device: check the address in the option "target".',
        ),
        "de": Words(
            "Das Gerät verlangt eine Anmeldung, aber nicht so wie ein Smart Meter Gateway. Sein Zertifikat sagt: "
            "{subject}.",
            'Das scheint ein anderes Gerät zu sein: Prüfen Sie die Adresse in der Option "target".',
        ),
    },
    "http_not_a_gateway": {
        "en": Words(
            "The device answers (status {status}) without asking for a login, so it is no Smart Meter Gateway. Its "
            "certificate says: {subject}.",
            'Check the address in the option "target": this seems to be another device, such as a router.',
        ),
        "de": Words(
            "Das Gerät antwortet (Status {status}), ohne eine Anmeldung zu verlangen, ist also kein Smart Meter "
            "Gateway. Sein Zertifikat sagt: {subject}.",
            'Prüfen Sie die Adresse in der Option "target": Das scheint ein anderes Gerät zu sein, etwa ein Router.',
        ),
    },
    "http_error": {
        "en": Words(
            "The gateway answers with an error of its own (status {status}).",
            "Wait some minutes and try again. If it stays like this, ask your metering point operator.",
        ),
        "de": Words(
            "Das Gateway antwortet mit einem eigenen Fehler (Status {status}).",
            "Warten Sie einige Minuten und versuchen Sie es noch einmal. Bleibt es so, fragen Sie Ihren "
            "Messstellenbetreiber.",
        ),
    },
    "http_closed": {
        "en": Words(
            "The gateway took a request and closed the connection without an answer.",
            "Close other sessions with the gateway (browser, TRuDI, other integrations), wait some minutes and try "
            "again: after several wrong logins a gateway answers nobody for a while.",
        ),
        "de": Words(
            "Das Gateway hat eine Anfrage angenommen und die Verbindung ohne Antwort geschlossen.",
            "Beenden Sie andere Sitzungen mit dem Gateway (Browser, TRuDI, andere Integrationen), warten Sie einige "
            "Minuten und versuchen Sie es noch einmal: Nach mehreren falschen Anmeldungen antwortet ein Gateway eine "
            "Zeit lang niemandem.",
        ),
    },
    "http_silent": {
        "en": Words(
            "The gateway took a request and did not answer within {seconds} seconds.",
            "It is overloaded or at work on something long: wait for a quarter of an hour and try again. Let your "
            "programs ask less often.",
        ),
        "de": Words(
            "Das Gateway hat eine Anfrage angenommen und nicht innerhalb von {seconds} Sekunden geantwortet.",
            "Es ist überlastet oder mit etwas Langem beschäftigt: Warten Sie eine Viertelstunde und versuchen Sie es "
            "noch einmal. Lassen Sie Ihre Programme seltener fragen.",
        ),
    },
    "http_not_http": {
        "en": Words(
            "What the device answers over the encrypted connection is not HTTP, so it is no Smart Meter Gateway.",
            'Check address and port in the option "target".',
        ),
        "de": Words(
            "Was das Gerät über die verschlüsselte Verbindung antwortet, ist kein HTTP; es ist also kein Smart Meter "
            "Gateway.",
            'Prüfen Sie Adresse und Port in der Option "target".',
        ),
    },
    "http_truncated": {
        "en": Words("The gateway's answer ended half-way.", "Try again. If it happens often, check the cable."),
        "de": Words(
            "Die Antwort des Gateways brach mittendrin ab.",
            "Versuchen Sie es noch einmal. Geschieht es oft, prüfen Sie das Kabel.",
        ),
    },
}
"""Sentence and remedy by code and language."""
