"""German."""

from typing import Final

TEXTS: Final = {
    "title": "SMGW Network",
    "skip": "Zum Inhalt",
    "language": "Sprache",
    "de": "Deutsch",
    "en": "English",
    "stale": "Die App antwortet nicht: Was hier steht, kann veraltet sein.",
    "error.form": "Diese Seite war veraltet. Es ist nichts geschehen; bitte noch einmal versuchen.",
    # The verdict
    "verdict.reached": "Alles ist eingerichtet",
    "verdict.reached.text": "Apps und Home Assistant erreichen das Gateway. Öffnen Sie SMGW Proxy und drücken"
    " Sie dort"
    " „Übernehmen“, falls noch nicht geschehen.",
    "verdict.trouble": "Bei einem Gateway ist etwas zu tun",
    "verdict.trouble.text": "Unten steht, woran es liegt.",
    "verdict.searching": "Ein Gateway wird gesucht",
    "verdict.searching.text": "Das dauert bis zu 90 Sekunden. Die Seite aktualisiert sich von selbst.",
    "badge.good": "Läuft",
    "badge.warn": "Bitte ansehen",
    "badge.bad": "Läuft nicht",
    "badge.idle": "Suche",
    # What is wrong as a whole, and the remedy
    "trouble.no_carrier": "In keinem Netzwerkanschluss steckt ein Kabel.",
    "remedy.no_carrier": "Verbinden Sie dieses Gerät mit dem HAN-Anschluss des Gateways oder mit dem Switch, an"
    " dem es"
    " steckt.",
    "trouble.no_interface": "Den Netzwerkanschluss aus den Optionen gibt es nicht.",
    "remedy.no_interface": "Berichtigen Sie die Option „Netzwerkanschluss“ im Reiter Konfiguration, oder lassen"
    " Sie sie"
    " leer.",
    "trouble.no_permission": "Das System lässt diese App keine Adressen ändern.",
    "remedy.no_permission": "Installieren Sie die App neu, damit sie die Rechte erhält, die sie braucht.",
    "trouble.nothing_answers": "Bisher hat kein Gateway geantwortet.",
    "remedy.nothing_answers": "Prüfen Sie das Kabel zum HAN-Anschluss, und fragen Sie Ihren"
    " Messstellenbetreiber, ob der"
    " Anschluss freigeschaltet ist und welche Adresse er hat. Sie können sie als „Adresse des Gateways“"
    " eintragen. Die"
    " bekannten Adressen werden jede Minute erneut gefragt.",
    "trouble.address_taken": "Jede probierte Adresse neben dem Gateway ist schon vergeben.",
    "remedy.address_taken": "Wählen Sie eine freie Adresse aus dem Subnetz des Gateways als „Adresse dieses Geräts“."
    " Sonst wird"
    " es jede Minute erneut versucht.",
    # What is wrong with one gateway
    "gateway.no_carrier": "Das Kabel ist gezogen oder der Anschluss fehlt. Danach geht es von selbst weiter.",
    "gateway.nothing_answers": "Das Gateway antwortet nicht mehr. Prüfen Sie Kabel und Stromversorgung.",
    "gateway.address_taken": "Jede probierte Adresse daneben ist vergeben; es wird jede Minute erneut versucht.",
    "gateway.waiting": "Der Anschluss hat noch keine eigene Adresse. Die für das Gateway folgt ihr.",
    "gateway.at_home": "Ein Gerät in Ihrem Heimnetz hat dieselbe Adresse und würde abgeschnitten; deshalb ist nichts"
    " geschehen. Wenn Sie trotzdem dieses Gateway wollen, tragen Sie seine Adresse als „Adresse des Gateways“ ein.",
    "gateway.same_address": "Ein anderes Gerät hat dieselbe Adresse. Nur eines von beiden kann bedient werden.",
    "gateway.not_a_gateway": "An dieser Adresse antwortet ein Gerät, aber nicht mit dem Zertifikat eines Gateways.",
    "gateway.no_bridge": "Die Weiterleitung lässt sich nicht öffnen: Das Netz des Supervisors fehlt.",
    "gateway.no_permission": "Das System lässt diese App keine Adressen ändern.",
    "gateway.no_interface": "Den Netzwerkanschluss gibt es nicht.",
    # One gateway
    "gateway.title": "Gateway",
    "gateway.by": "Gateway von {maker}",
    "gateway.address": "Adresse",
    "gateway.interface": "Netzwerkanschluss",
    "gateway.name": "Name im Zertifikat",
    "gateway.fingerprint": "Fingerabdruck (SHA-256)",
    "gateway.certificate.none": "noch nicht gesehen",
    "gateway.local": "Adresse dieses Geräts dafür",
    "gateway.since": "Seit",
    "gateway.target": "Was SMGW Proxy als Ziel braucht",
    "way": "Wie es erreicht wird",
    "way.direct": "Über Ihr Heimnetz. Es muss nichts eingerichtet werden.",
    "way.peer": "Über eine Adresse, die dieses Gerät allein für das Gateway hat.",
    "way.relay": "Über eine Weiterleitung auf diesem Gerät, nur für Apps. Die Verbindung bleibt durchgehend"
    " verschlüsselt.",
    "way.none": "Gar nicht.",
    "steps": "Was zuletzt geschah",
    "step.found": "Gefunden",
    "step.added": "Adresse hinzugefügt",
    "step.lost": "Das System hat die Adresse entfernt",
    "step.put_back": "Adresse wieder gesetzt",
    "step.conflict": "Ein anderes Gerät nutzt die Adresse auch",
    "step.removed": "Adresse entfernt",
    # The search
    "search.title": "Suche",
    "search.active": "Die Suche läuft.",
    "search.idle": "Die Suche ist beendet.",
    "search.off": "Die Adresse des Gateways steht in den Optionen: Nach anderen wird nicht gefragt.",
    "search.sent": "Gesendete Pakete an {interface}: {count}",
    "search.again": "Erneut suchen",
}
