"""Each outcome of the network diagnosis, and its steps, in German."""

from collections.abc import Mapping
from typing import Final

from smgw_proxy_addon.locales import Outcome, Report

STEPS: Final[Mapping[str, str]] = {
    "name": "Name",
    "address": "Netzwerkadresse",
    "tcp": "Verbindung",
    "tls": "Verschlüsselung",
    "certificate": "Zertifikat",
    "http": "Antwort",
}

REPORT: Final = Report(
    ok="ok",
    warning="Warnung",
    failed="FEHLER",
    skipped="-",
    what_to_do="Zu tun: ",
    good="Alles in Ordnung.",
    bad="Es geht nicht: siehe oben, was zu tun ist.",
)

_HOW_TO_ADD: Final = (
    "Installieren und starten Sie SMGW Network, die zweite App dieses Repositorys: Sie gibt diesem Rechner von "
    "selbst eine Adresse und ändert keine Netzwerkeinstellung.\n"
    "Von Hand gibt es drei Wege.\n"
    "(A) Eine zweite Adresse auf der Verbindung, die Home Assistant schon hat: Einstellungen → System → Netzwerk → "
    "Netzwerkschnittstellen konfigurieren → {interface} → IPv4. Notieren Sie zuerst, was dort steht (Adresse {kept}, "
    "Gateway {router}, DNS {nameservers}). Wählen Sie Statisch statt Automatisch und behalten Sie diese Werte; + "
    "Adresse hinzufügen: {add}, Netzmaske {netmask}; Speichern. Dasselbe als Befehl: {command}\n"
    "(B) Ein eigener Netzwerkanschluss (zweiter Anschluss oder USB-Adapter) zum Gateway; nur dort: IPv4 Statisch, "
    "Adresse {add}, Netzmaske {netmask}, Gateway-Adresse {gateway} (das Feld darf nicht leer sein), DNS leer, IPv6 "
    "Deaktiviert.\n"
    "(C) Ein kleiner Router mit NAT neben dem Zähler und eine statische Route nach {network} über ihn auf diesem "
    "Rechner.\n"
    "DHCP hilft nicht und eine Adresse aus einem anderen Netz auch nicht: Das Gateway antwortet nur Nachbarn. Ein "
    "Ping beweist nichts."
)

WORDS: Final[Mapping[str, Outcome]] = {
    "not_tried": Outcome("Nicht geprüft; den Grund nennt ein anderer Schritt."),
    "kept": Outcome("In Betrieb: Der Proxy hält eine Verbindung zu {at}; eine zweite wurde nicht geöffnet."),
    "failed": Outcome(
        "Dieser Schritt ist auf unbekannte Weise fehlgeschlagen: {reason}.",
        "Bitte melden Sie es mit dem Protokoll des Proxys.",
    ),
    # Name
    "name_ok": Outcome("Der Name {host} gehört zur Adresse {addresses}."),
    # Address
    "address_ok": Outcome("Dieser Rechner hat im Netz des Gateways die Adresse {own}, an {interface}."),
    "address_reached": Outcome("Dieser Rechner erreicht das Gateway."),
    "address_routed": Outcome(
        "Dieser Rechner hat keine Adresse in {network}, erreicht das Gateway aber über einen Router dazwischen.",
    ),
    "address_not_known": Outcome(
        "Ob dieser Rechner im Netz des Gateways eine Adresse hat, ist von hier aus nicht festzustellen.",
    ),
    "address_relay": Outcome("Der Weg zum Gateway {target} führt über die Weiterleitung von SMGW Network ({at})."),
    "address_missing_app": Outcome(
        "Dieser Rechner hat keine Adresse im Netz des Gateways (vermutlich {network}).",
        _HOW_TO_ADD,
    ),
    "address_missing": Outcome(
        "Dieser Rechner hat keine Adresse im Netz des Gateways (vermutlich {network}).",
        "Geben Sie ihm eine auf dem Netzwerkanschluss, der zum Gateway führt: {add}, Netzmaske {netmask}. Zum "
        "Ausprobieren bis zum nächsten Start: sudo ip address add {add}/{prefix} dev {interface}\n"
        "Hilft das, tragen Sie sie in die Netzwerkeinstellungen Ihres Systems ein. Oder setzen Sie einen kleinen "
        "Router mit NAT neben den Zähler und auf diesem Rechner eine statische Route nach {network} über ihn.\n"
        "Eine Adresse aus einem anderen Netz hilft nicht: Das Gateway antwortet nur Nachbarn. Ein Ping beweist "
        "nichts.",
    ),
    "address_missing_ipv6": Outcome(
        "Dieser Rechner hat keine Adresse im Netz des Gateways (vermutlich {network}).",
        "Benutzen Sie die IPv4-Adresse des Gateways, wenn es eine hat; oder geben Sie diesem Rechner eine "
        "IPv6-Adresse in {network}.",
    ),
    "address_down": Outcome(
        "Der Netzwerkanschluss {interface} ({own}) führt zum Gateway, ist aber abgeschaltet oder ohne Kabel.",
        "Stecken Sie das Kabel zwischen {interface} und Gateway an beiden Enden ein; die Lämpchen müssen leuchten. "
        "Prüfen Sie, ob der Anschluss in den Netzwerkeinstellungen deaktiviert ist.",
    ),
    "address_is_own": Outcome(
        "Dieser Rechner hat selbst die Adresse des Gateways, {address}.",
        "Geben Sie diesem Rechner eine andere Adresse im selben Netz: Keine zwei Geräte dürfen dieselbe haben.",
    ),
    "address_no_zone": Outcome(
        "Diese Adresse gilt nur an einem bestimmten Netzwerkanschluss, und einen namens {interface} gibt es nicht.",
        "Nennen Sie in der Option „target“ nach der Adresse den Anschluss, der zum Gateway führt, etwa %eth0.",
    ),
    "address_without_zone": Outcome(
        "Diese Adresse gilt nur an einem bestimmten Netzwerkanschluss, und welcher das ist, steht nicht dabei.",
        "Nennen Sie in der Option „target“ nach der Adresse den Anschluss, der zum Gateway führt, etwa %eth0.",
    ),
    "address_link_local_app": Outcome(
        "Eine Adresse, die mit fe80 beginnt, ist aus einer Home-Assistant-App nicht erreichbar.",
        "Installieren und starten Sie SMGW Network, die zweite App dieses Repositorys: Sie leitet Verbindungen an "
        "ein solches Gateway weiter. Oder tragen Sie in die Option „target“ die IPv4-Adresse des Gateways ein; Ihr "
        "Messstellenbetreiber kennt sie.",
    ),
    "address_of_apps": Outcome(
        "Die Adresse des Gateways gehört zu dem Netz, in dem Home Assistant seine Apps hält (172.30.32.0/23). Ein "
        "Gateway mit einer solchen Adresse erreicht nur Home Assistant selbst, aber keine App.",
        "Stellen Sie einen kleinen Router mit NAT neben den Zähler und tragen Sie in die Option „target“ die Adresse "
        "ein, die das Gateway dann für Ihr Heimnetz hat. Oder betreiben Sie den Proxy auf einem anderen Rechner. Ein "
        "Kabel oder eine zweite Adresse hilft nicht.",
    ),
    # TCP
    "tcp_ok": Outcome("{at} nimmt Verbindungen an."),
    "tcp_busy": Outcome(
        "Das Gateway war die ganze Zeit mit anderen Anfragen beschäftigt.",
        "Versuchen Sie es in einer Minute noch einmal. Ist es immer so, lassen Sie Ihre Programme seltener fragen: "
        "Neue Messwerte gibt es nur alle 15 Minuten.",
    ),
    "tcp_refused": Outcome(
        "Ein Gerät unter {at} lehnt die Verbindung ab.",
        "Prüfen Sie, ob dies die Adresse des Gateways ist und nicht die eines anderen Geräts. Manche Gateways "
        "lehnen nach einem Neustart einige Minuten lang jede Verbindung ab: Warten Sie dann.",
    ),
    "tcp_refused_port": Outcome(
        "Unter dieser Adresse antwortet ein Gerät, aber niemand am Port {port}.",
        "Gateways lauschen am Port 443: Lassen Sie den Port „:{port}“ in der Option „target“ weg.",
    ),
    "tcp_timeout": Outcome(
        "Unter {at} antwortet niemand: keine Verbindung innerhalb von {seconds} Sekunden.",
        "Sehen Sie zuerst nach der Netzwerkadresse weiter oben. Stimmt sie, prüfen Sie das Kabel und die Adresse "
        "des Gateways; etwas auf dem Weg (eine Firewall, ein Router ohne NAT) verschluckt womöglich die Pakete, "
        "oder das Gateway ist aus. Auch ein Gateway mit gesperrter HAN-Schnittstelle schweigt: Ihr "
        "Messstellenbetreiber kann das feststellen.",
    ),
    "tcp_no_route": Outcome(
        "Dieser Rechner kennt keinen Weg zu {at}.",
        "Geben Sie ihm eine Adresse im Netz des Gateways, wie oben beschrieben.",
    ),
    "tcp_nobody": Outcome(
        "Im Netz des Gateways gibt es kein Gerät mit dieser Adresse ({at}).",
        "Prüfen Sie das Kabel an beiden Enden, ob es in der HAN-Buchse des Gateways steckt (nicht WAN oder LMN), "
        "und die Adresse: Sie steht im Brief Ihres Messstellenbetreibers.",
    ),
    "tcp_of_apps": Outcome(
        "Unter {at} antwortet niemand: Eine App sucht diese Adresse unter den anderen Apps und nicht hinter einem "
        "Kabel.",
        "Siehe oben bei der Netzwerkadresse.",
    ),
    "tcp_no_relay": Outcome(
        "Unter {at} leitet niemand weiter: SMGW Network läuft nicht oder hat das Gateway {target} nicht gefunden.",
        "Starten Sie die App SMGW Network und sehen Sie auf ihre Seite: Dort steht, ob das Gateway da ist. Zeigt sie "
        "es unter einer anderen Adresse, bietet diese Seite hier sie an.",
    ),
    # TLS
    "tls_ok": Outcome("Die verschlüsselte Verbindung steht."),
    "tls_silent": Outcome(
        "Das Gerät unter {at} nimmt die Verbindung an und schweigt dann: Das Gateway scheint gesperrt zu sein, oder "
        "dies ist nicht das Gateway oder nicht sein Port.",
        "Prüfen Sie zuerst, ob Adresse und Port die des Gateways sind: Ein anderes Gerät, das dort kein HTTPS "
        "spricht, schweigt womöglich ebenso. Stimmt beides: Stoppen Sie alle Programme, die das Gateway abfragen, "
        "warten Sie eine Stunde und versuchen Sie es noch einmal. Bleibt es so, bitten Sie Ihren "
        "Messstellenbetreiber, die HAN-Schnittstelle zu entsperren; das kann Wochen dauern.",
    ),
    "tls_closed": Outcome(
        "Das Gerät unter {at} schließt die Verbindung, bevor sie verschlüsselt ist.",
        "Beenden Sie andere Verbindungen zum Gateway (Browser, TRuDI, andere Integrationen), warten Sie einige "
        "Minuten und versuchen Sie es noch einmal. Prüfen Sie, ob Adresse und Port die des Gateways sind.",
    ),
    "tls_relay_silent": Outcome(
        "SMGW Network leitet unter {at} weiter, aber das Gateway {target} dahinter antwortet nicht.",
        "Öffnen Sie die Seite von SMGW Network: Dort steht, ob das Gateway da ist. Prüfen Sie das Kabel an beiden "
        "Enden. Ist das Gateway da, beenden Sie andere Verbindungen zu ihm (Browser, TRuDI, andere Integrationen), "
        "warten Sie einige Minuten und versuchen Sie es noch einmal.",
    ),
    "tls_plain": Outcome(
        "Was unter {at} antwortet, spricht kein HTTPS: kein Smart-Meter-Gateway, oder der falsche Port.",
        "Prüfen Sie die Option „target“: Ein Gateway spricht nur HTTPS, am Port 443. Ist dort ein anderes Gerät "
        "(ein Router, ein Drucker), dann stimmt die Adresse nicht.",
    ),
    "tls_illegal_parameter": Outcome(
        "Das Gerät unter {at} bricht den Verbindungsaufbau mit Alarm 47 ab („illegal parameter“), wie es Gateways "
        "von Sagemcom bei jedem üblichen Programm tun, auch bei Browsern und curl.",
        "Stellen Sie die Option „tls“ auf „auto“: Dann spricht der Proxy, wie diese Gateways es wollen. Steht sie "
        "schon so, melden Sie es bitte mit Hersteller und Modell Ihres Gateways.",
    ),
    "tls_no_common": Outcome(
        "Das Gerät unter {at} bricht den Verbindungsaufbau mit Alarm 40 ab („handshake failure“): Es findet kein "
        "Verfahren und keine Kurve, die beide Seiten kennen.",
        "Prüfen Sie, ob Adresse und Port die des Gateways sind und ob die Option „tls“ auf „auto“ steht. Wenn ja, "
        "melden Sie es bitte mit Hersteller und Modell Ihres Gateways.",
    ),
    "tls_curve": Outcome(
        "Das Gerät unter {at} bricht den Verbindungsaufbau ab ({reason}). Die TLS-Bibliothek dieses Rechners bietet "
        "ihm die Kurven nicht an, die manche Gateways verlangen (Brainpool).",
        "Prüfen Sie, ob dies das Gateway ist. Wenn ja, benutzen Sie die App oder das Container-Image: Sie bieten "
        "diese Kurven an.",
    ),
    "tls_version": Outcome(
        "Das Gerät unter {at} spricht keine Version von TLS, die ihm angeboten wird ({reason}). "
        "Smart-Meter-Gateways sprechen TLS 1.2, neuere auch oder nur TLS 1.3.",
        "Prüfen Sie Adresse und Port in der Option „target“. Stimmen sie, dann entfernen Sie die Optionen „tls“ und "
        "„tls_max“: Dann werden beide Versionen angeboten.",
    ),
    "tls_client_certificate": Outcome(
        "Das Gerät unter {at} verlangt ein Zertifikat des Proxys als Anmeldung: Es bekam keines oder keines, das es "
        "annimmt ({reason}).",
        "Ist das Ihr Gateway, bitten Sie Ihren Messstellenbetreiber um ein Zertifikat mit Schlüssel und tragen Sie "
        "beide in die Optionen „client_certfile“ und „client_keyfile“ ein. Wenn nicht, prüfen Sie Adresse und Port "
        "in der Option „target“.",
    ),
    "tls_name": Outcome(
        "Das Gerät unter {at} kennt sich nicht unter dem Namen {host} (Alarm 112, „unrecognized name“).",
        "Tragen Sie in die Option „target“ die IP-Adresse des Gateways ein.",
    ),
    "tls_internal_error": Outcome(
        "Das Gateway bricht den Verbindungsaufbau wegen eines eigenen Fehlers ab (Alarm 80, „internal error“).",
        "Warten Sie einige Minuten und versuchen Sie es noch einmal. Bleibt es so, bitten Sie Ihren "
        "Messstellenbetreiber um einen Neustart.",
    ),
    "tls_access_denied": Outcome(
        "Das Gateway verweigert den Zugang (Alarm 49, „access denied“).",
        "Warten Sie eine Stunde und versuchen Sie es noch einmal. Bleibt es so, fragen Sie Ihren "
        "Messstellenbetreiber, ob Ihr HAN-Zugang freigeschaltet ist.",
    ),
    "tls_alert": Outcome(
        "Das Gerät unter {at} bricht den Verbindungsaufbau mit einem Alarm ab: {reason}.",
        "Prüfen Sie, ob dies das Gateway ist. Wenn ja, melden Sie bitte diese Meldung und den Hersteller Ihres "
        "Gateways.",
    ),
    "tls_failed": Outcome(
        "Die verschlüsselte Verbindung zu {at} kam nicht zustande: {reason}.",
        "Prüfen Sie, ob dies das Gateway ist. Wenn ja, melden Sie bitte diese Meldung und den Hersteller Ihres "
        "Gateways.",
    ),
    # Certificate
    "certificate_ok": Outcome("Es ist das vertraute Zertifikat, gültig bis {not_after}: {groups} ({subject})."),
    "certificate_new": Outcome(
        "Noch wird keinem Zertifikat vertraut. Diesem würde bei der ersten Anfrage vertraut: {groups} ({subject}, "
        "gültig bis {not_after}). Gespeichert wurde nichts.",
        "Vergleichen Sie es, wenn möglich, mit den Angaben Ihres Messstellenbetreibers.",
    ),
    "certificate_expired": Outcome(
        "Es ist das vertraute Zertifikat, es ist aber am {not_after} abgelaufen: {groups} ({subject}). Der Proxy "
        "arbeitet weiter.",
        "Sagen Sie es Ihrem Messstellenbetreiber, der es erneuern muss. Danach zeigt das Gateway ein anderes "
        "Zertifikat: Vertrauen Sie dann dem neuen.",
    ),
    "certificate_expires_soon": Outcome(
        "Es ist das vertraute Zertifikat, es läuft aber am {not_after} ab: {groups} ({subject}).",
        "Ihr Messstellenbetreiber wird es erneuern. Danach zeigt das Gateway ein anderes Zertifikat: Vertrauen Sie "
        "dann dem neuen.",
    ),
    "certificate_not_yet_valid": Outcome(
        "Es ist das vertraute Zertifikat, nach der Uhr dieses Rechners gilt es aber noch nicht: {groups} "
        "({subject}).",
        "Prüfen Sie Datum und Uhrzeit dieses Rechners.",
    ),
    # HTTP
    "http_ok": Outcome(
        "Es verlangt Benutzername und Passwort, wie ein Smart-Meter-Gateway es tut. Alles ist bereit.",
    ),
    "http_certificate": Outcome("Es lässt den Proxy mit seinem Zertifikat herein. Alles ist bereit."),
    "http_forbidden": Outcome(
        "Das Gateway lehnt die Anfrage ab (403); sie galt dem Host {sent_host}. Gateways von EMH nehmen dort nur "
        "ihren eigenen Namen an.",
        "Setzen Sie die Option „host_header“ auf smgw.local oder auf die eigene Adresse des Gateways; ohne sie gilt "
        "die Option „target“.",
    ),
    "http_smgw_local": Outcome(
        "Das Gateway lehnt Anfragen an den Host {sent_host} ab (400) und nimmt solche an smgw.local an, wie manche "
        "Gateways von EMH.",
        "Setzen Sie die Option „host_header“ auf smgw.local. In Home Assistant tut das der Knopf darunter.",
    ),
    "http_other_login": Outcome(
        "Das Gerät verlangt eine Anmeldung, aber nicht so wie ein Smart-Meter-Gateway. Sein Zertifikat nennt: "
        "{subject}.",
        "Das scheint ein anderes Gerät zu sein: Prüfen Sie die Adresse in der Option „target“.",
    ),
    "http_not_a_gateway": Outcome(
        "Das Gerät antwortet (Status {status}), ohne eine Anmeldung zu verlangen, ist also kein "
        "Smart-Meter-Gateway. Sein Zertifikat nennt: {subject}.",
        "Prüfen Sie die Adresse in der Option „target“: Das scheint ein anderes Gerät zu sein, etwa ein Router.",
    ),
    "http_error": Outcome(
        "Das Gateway antwortet mit einem eigenen Fehler (Status {status}).",
        "Warten Sie einige Minuten und versuchen Sie es noch einmal. Bleibt es so, fragen Sie Ihren "
        "Messstellenbetreiber.",
    ),
    "http_closed": Outcome(
        "Das Gateway hat eine Anfrage angenommen und die Verbindung ohne Antwort geschlossen.",
        "Beenden Sie andere Sitzungen mit dem Gateway (Browser, TRuDI, andere Integrationen), warten Sie einige "
        "Minuten und versuchen Sie es noch einmal: Nach mehreren falschen Anmeldungen antwortet ein Gateway eine "
        "Zeit lang niemandem.",
    ),
    "http_silent": Outcome(
        "Das Gateway hat eine Anfrage angenommen und nicht innerhalb von {seconds} Sekunden geantwortet.",
        "Es ist überlastet oder mit einer längeren Aufgabe beschäftigt: Warten Sie eine Viertelstunde und versuchen "
        "Sie es noch einmal. Lassen Sie Ihre Programme seltener fragen.",
    ),
}
