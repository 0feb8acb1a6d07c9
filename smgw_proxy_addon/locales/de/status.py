"""The status page in German."""

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, str]] = {
    "title": "SMGW-Proxy",
    "unknown": "unbekannt",
    "language": "Sprache",
    "language.en": "English",
    "language.de": "Deutsch",
    "skip": "Zum Inhalt springen",
    "sections": "Abschnitte",
    "tab.overview": "Übersicht",
    "tab.gateway": "Gateway-Seite",
    "tab.connect": "Verbinden",
    "tab.diagnosis": "Diagnose",
    # The first steps
    "start.title": "Erste Schritte",
    "start.done": "erledigt",
    "start.open": "offen",
    "start.reached": "Das Gateway wurde erreicht",
    "start.reached.how": "Bleibt es dabei, sagt die Diagnose, was im Weg ist:",
    "start.pinned": "Sein Zertifikat ist bekannt",
    "start.pinned.how": "Der Proxy merkt es sich von selbst, sobald er das Gateway erreicht.",
    "start.served": "Ein Programm hat eine Antwort bekommen",
    "start.served.how": "Tragen Sie die Adresse des Proxys in Ihr Programm ein:",
    # The gateway's own page
    "page.title": "Die eigene Seite des Gateways",
    "page.account": "Zugang",
    "page.choose": "Wählen",
    "page.first": "Erste Seite",
    "page.back": "Zurück",
    "page.busy": "Das Gateway wird gefragt…",
    "page.note": "Sie sind bereits angemeldet. Ihre Programme haben Vorrang: Bei einem Gateway von PPC werden Sie "
    "abgemeldet, sobald eines von ihnen wartet, oder nach einer Minute ohne Klick.",
    "page.noscript": "Die Seite des Gateways braucht hier JavaScript.",
    "page.off": "Der Proxy kann sich selbst am Gateway anmelden und dessen Seite hier zeigen. Tragen Sie "
    "Benutzername und Passwort des Gateways unter „accounts“ in der Konfiguration der App ein.",
    "page.nowhere": "Die Seite des Gateways wird nur in Home Assistant gezeigt, denn nur dort weiß der Proxy, wer "
    "fragt. Auf diesem Computer öffnen Sie sie unter der Adresse des Proxys.",
    "page.plain": "In einem eigenen Tab öffnen",
    "page.refused.admins": "Die Seite des Gateways ist für Administratoren von Home Assistant. Einer von ihnen kann "
    "mit der Option gateway_page_for_all alle Benutzer zulassen.",
    "page.refused.unknown": "Home Assistant sagt nicht, ob Sie Administrator sind. Laden Sie diese Seite in einer "
    "Minute neu.",
    "page.gone": "Diese Seite gilt nicht mehr. Öffnen Sie den Tab neu.",
    "page.confirm": "Das Gateway neu starten?",
    "page.confirm.why": "Das startet das Gateway neu. Es kann Minuten dauern, bis es wieder antwortet.",
    "page.confirm.yes": "Neu starten",
    "back": "Zurück zur Übersicht",
    "copy": "Kopieren",
    "copied": "Kopiert",
    "stale": "Der Proxy antwortet gerade nicht. Was Sie sehen, kann veraltet sein.",
    "span.seconds": "{count} s",
    "span.minutes": "{count} min",
    "span.hours": "{count} h",
    "span.days": "{count} Tagen",
    "span.days.one": "1 Tag",
    "ago": "vor {span}",
    "footer": "smgw-proxy {version}, läuft seit {since}",
    # Urteil
    "verdict.remedy": "Was zu tun ist",
    "verdict.level.good": "Alles in Ordnung",
    "verdict.level.idle": "Wartet",
    "verdict.level.warn": "Achtung",
    "verdict.level.bad": "Funktioniert nicht",
    "verdict.at": "Zuletzt geschehen: {when}",
    "verdict.works": "Es funktioniert.",
    "verdict.works.detail": "Das Gateway antwortet, und zeigt das Zertifikat, dem vertraut wird.",
    "verdict.quiet": "Bei der letzten Anfrage hat es funktioniert.",
    "verdict.quiet.detail": "Seit einigen Stunden hat niemand das Gateway abgefragt.",
    "verdict.quiet.remedy": "Falls ein Programm abfragen sollte, prüfen Sie, ob es läuft und welche Adresse es "
    "benutzt: siehe „Verbinden“.",
    "verdict.waiting": "Der Proxy ist bereit und wartet auf die erste Anfrage.",
    "verdict.waiting.detail": "Seit dem Start hat noch kein Programm das Gateway abgefragt.",
    "verdict.waiting.remedy": "Richten Sie ein Programm ein: Die Adressen stehen unter „Verbinden“.",
    "verdict.found": "SMGW Network hat ein Gateway von {maker} gefunden: {address}.",
    "verdict.found.unknown": "SMGW Network hat ein Gateway gefunden: {address}.",
    "verdict.found.several": "SMGW Network hat {count} Gateways gefunden: Wählen Sie eines.",
    "verdict.decided": "Die nächste Anfrage wird zeigen, ob es funktioniert.",
    "verdict.decided.detail": "Sie haben über das Zertifikat entschieden. Seitdem hat kein Programm das Gateway "
    "abgefragt.",
    "verdict.fails": "Es funktioniert nicht: {reason}.",
    "verdict.fails_sometimes": "Die letzte Anfrage ist fehlgeschlagen: {reason}.",
    "verdict.reached": "Die Diagnose vom {when} hat das Gateway erreicht.",
    "verdict.reached.detail": "Davor war eine Anfrage fehlgeschlagen. Die nächste wird zeigen, ob es wieder "
    "funktioniert.",
    "verdict.not_reaching": "Die Anfragen erreichen das Gateway nicht: {reason}.",
    "verdict.impatient": "Ihr Programm gibt auf, bevor das Gateway geantwortet hat.",
    "verdict.impatient.detail": "Die letzten Anfragen hat das anfragende Programm abgebrochen. Manche Gateways "
    "brauchen 15 Sekunden für eine Antwort.",
    "verdict.impatient.remedy": "Erhöhen Sie in Ihrem Programm die Wartezeit (Timeout), etwa auf 30 Sekunden.",
    "verdict.forbidden": "Es funktioniert nicht: Das Gateway verweigert die Anfragen (403).",
    "verdict.forbidden.detail": "Das Gateway antwortet, hat die letzten Anfragen aber verweigert. Das tut es, wenn "
    "es unter einem fremden Namen abgefragt wird, so bei Gateways von EMH, oder wenn der Benutzer diese Daten nicht "
    "lesen darf.",
    "verdict.forbidden.remedy": "Setzen Sie bei einem Gateway von EMH die Option host_header auf smgw.local, oder "
    "lassen Sie sie leer. Sonst fragen Sie Ihren Messstellenbetreiber, was Ihr Benutzer lesen darf.",
    "verdict.not_found": "Das Gateway antwortet, aber nicht unter der Adresse, die das Programm abfragt ({status}).",
    "verdict.not_found.detail": "Die letzten Anfragen galten einem Pfad, den dieses Gateway nicht hat, oder waren "
    "von einer Art, die es nicht annimmt.",
    "verdict.not_found.remedy": "Vergleichen Sie die Adresse in Ihrem Programm mit der unter „Verbinden“.",
    "verdict.changed": "Es funktioniert nicht, weil das Gateway ein anderes Zertifikat zeigt als bisher.",
    "verdict.changed.remedy": "Sehen Sie sich unter „Zertifikat“ beide Zertifikate an. Vertrauen Sie dem neuen nur, "
    "wenn Sie wissen, warum es ausgetauscht wurde.",
    "verdict.not_stored": "Es funktioniert nicht: Das Gateway zeigt ein anderes Zertifikat als das, dem vertraut "
    "wird, und es ließ sich nicht speichern.",
    "verdict.not_stored.detail": "Diesem Gerät wurde nichts gesendet, nicht einmal ein Passwort. Entscheiden können "
    "Sie über ein Zertifikat erst, wenn der Proxy es gespeichert hat.",
    "verdict.not_stored.remedy": "Schaffen Sie Platz auf dem Datenträger, und sorgen Sie dafür, dass der Proxy in "
    "seinen Ordner schreiben darf. Nach der nächsten Anfrage stehen beide Zertifikate unter „Zertifikat“.",
    "verdict.gateway_status": "Es funktioniert, aber das Gateway meldet selbst einen Fehler (Status {status}).",
    "verdict.gateway_status.detail": "Die Verbindung ist in Ordnung. Das Gateway konnte die letzte Anfrage nicht "
    "ausführen.",
    "verdict.gateway_status.remedy": "Warten Sie eine Minute. Bleibt es so, fragen Sie Ihren Messstellenbetreiber.",
    "verdict.login": "Es funktioniert nicht: Das Gateway lehnt die Anmeldung ab.",
    "verdict.login.detail": "Das Gateway antwortet, fragt aber immer wieder nach Benutzername und Passwort.",
    "verdict.login.remedy": "Prüfen Sie Benutzername und Passwort in Ihrem Programm: Es sind die HAN-Zugangsdaten "
    "Ihres Messstellenbetreibers, nicht die eines Kundenportals.",
    "verdict.login_stopped": "Es funktioniert nicht: Das Gateway hat die Anmeldung zweimal hintereinander abgelehnt "
    "(Zugang {accounts}).",
    "verdict.login_stopped.remedy": "Berichtigen Sie Benutzername und Passwort in der Option accounts: Es sind die "
    "HAN-Zugangsdaten Ihres Messstellenbetreibers. Sind sie richtig, warten Sie einige Minuten und drücken Sie unter "
    "„Gateway“ auf „Erneut versuchen“.",
    "verdict.login_held_back": "Ein Programm hat ein falsches Passwort: {addresses}.",
    "verdict.login_retried": "Die nächste Anfrage wird zeigen, ob das Gateway die Anmeldung annimmt.",
    "verdict.login_retried.detail": "Sie haben sie noch einmal erlaubt. Seitdem hat kein Programm abgefragt.",
    "verdict.expired": "Es funktioniert, aber das Zertifikat des Gateways ist abgelaufen.",
    "verdict.expired.detail": "Der Proxy vertraut ihm trotzdem, weil es das ist, das er kennt.",
    "verdict.expired.remedy": "Sagen Sie es Ihrem Messstellenbetreiber: Nur er kann es erneuern.",
    "verdict.expires_soon": "Es funktioniert, aber das Zertifikat des Gateways läuft bald ab.",
    "verdict.expires_soon.detail": "Wenn Ihr Messstellenbetreiber es erneuert, lehnt der Proxy das neue zunächst ab "
    "und fragt Sie.",
    "verdict.expires_soon.remedy": "Im Augenblick ist nichts zu tun. Rechnen Sie in den nächsten Wochen mit einem "
    "neuen Zertifikat.",
    "verdict.not_yet_valid": "Es funktioniert, aber das Zertifikat des Gateways ist noch nicht gültig.",
    "verdict.not_yet_valid.detail": "Seine Gültigkeit beginnt in der Zukunft, oder eine Uhr geht falsch.",
    "verdict.not_yet_valid.remedy": "Prüfen Sie die Uhrzeit dieses Rechners.",
    "verdict.some_failed": "Es funktioniert, aber in der letzten Stunde sind {errors} von {requests} Anfragen "
    "fehlgeschlagen.",
    "verdict.many_polls": "Es funktioniert, aber das Gateway wird zu oft abgefragt: {polls}-mal in der letzten "
    "Stunde.",
    "verdict.many_polls.detail": "Gateways, die so oft abgefragt wurden, haben sich nach einigen Tagen selbst "
    "gesperrt. Neue Messwerte gibt es nur alle 15 Minuten.",
    "verdict.many_polls.remedy": "Stellen Sie Ihre Programme auf 15 Minuten ein, oder schalten Sie eines ab: siehe "
    "„Programme“.",
    "verdict.no_logs": "Es funktioniert, aber es werden keine Protokolldateien geschrieben.",
    "verdict.no_logs.detail": "Der Grund, wie ihn das System nennt: {problem}",
    "verdict.no_logs.remedy": "Schaffen Sie Platz auf dem Datenträger, oder wählen Sie mit der Option log_dir einen "
    "anderen Ordner.",
    # Was SMGW Network gefunden hat
    "offer.certificate": "Zertifikat {name}",
    "offer.interface": "Netzwerkanschluss {interface}",
    "offer.relay": "über die Weiterleitung von SMGW Network",
    "offer.use": "Übernehmen",
    "offer.note": "Das setzt die Option „Adresse des Gateways“ und startet die App neu. Gespeicherte Zertifikate "
    "bleiben, wie sie sind.",
    "offer.current": "von SMGW Network gefunden",
    "offer.broken": "Was SMGW Network gefunden hat, ist nicht lesbar. Aktualisieren Sie beide Apps und starten Sie "
    "sie neu; das Protokoll sagt, was nicht stimmt.",
    "offer.store.why": "SMGW Network, die zweite App dieses Repositorys, verschafft Home Assistant den Weg zum "
    "Gateway von selbst und ändert keine Netzwerkeinstellung.",
    "offer.store": "SMGW Network in Home Assistant öffnen",
    # Gateway
    "gateway.title": "Gateway",
    "gateway.address": "Adresse",
    "gateway.vendor": "Hersteller",
    "gateway.vendor.unknown": "noch nicht erkannt",
    "gateway.vendor.subject": "{vendor}, nach dem Namen im Zertifikat",
    "gateway.tls": "Verschlüsselung",
    "gateway.tls.compatible": "mit der zweiten TLS-Bibliothek, denn das Gateway lehnt die übliche ab",
    "gateway.last_answer": "Letzte Antwort",
    "gateway.never": "keine seit dem Start",
    "gateway.took": "dauerte {time}",
    "gateway.connection": "Verbindung",
    "gateway.connection.busy": "wird gerade benutzt",
    "gateway.connection.kept": "offen gehalten seit {span}",
    "gateway.connection.closes_each": "für jede Anfrage eine neue, weil das Gateway nach jeder Antwort schließt",
    "gateway.connection.none": "zurzeit keine",
    "gateway.queue": "Warteschlange",
    "gateway.queue.value": "{active} von {places} Verbindungen belegt, wartende Anfragen: {waiting}",
    "gateway.day": "Letzte 24 Stunden",
    "gateway.day.value": "{requests} Anfragen, davon {errors} fehlgeschlagen",
    "gateway.chart": "Antwortzeiten und Fehler der letzten 24 Stunden",
    "gateway.chart.empty": "Noch gibt es nichts zu zeichnen.",
    "gateway.chart.summary": "Mittlere Antwortzeit {mean}, längste {longest}, fehlgeschlagene Anfragen: {errors}.",
    "gateway.chart.mean": "mittlere Antwortzeit",
    "gateway.chart.max": "längste",
    "gateway.chart.errors": "fehlgeschlagene Anfragen",
    "gateway.chart.half": "vor 12 h",
    "gateway.chart.bar": "{time}: {requests} Anfragen, mittlere Antwortzeit {mean}, längste {longest}, "
    "fehlgeschlagen {errors}",
    "gateway.chart.hint": "Auf einen Balken zeigen oder mit den Pfeiltasten einen wählen, um seine Werte zu sehen.",
    "gateway.chart.ago": "vor 24 h",
    "gateway.chart.now": "jetzt",
    "accounts.title": "Zugänge",
    "accounts.name": "Zugang {number} ({initial}…)",
    "accounts.unknown": "noch nicht versucht",
    "accounts.accepted": "vom Gateway angenommen",
    "accounts.doubted": "bisher angenommen, zuletzt nicht beantwortet",
    "accounts.refused": "vom Gateway abgelehnt",
    "accounts.stopped": "zweimal abgelehnt, angehalten",
    "accounts.why": "Mit ihm wird nichts gesendet, bis sich die Optionen ändern oder Sie es noch einmal erlauben. "
    "Mehrere falsche Anmeldungen können das Gateway sperren.",
    "accounts.retry": "Erneut versuchen",
    # Zertifikat
    "certificate.title": "Zertifikat",
    "certificate.none": "Noch ist kein Zertifikat bekannt. Dem ersten, das das Gateway zeigt, wird vertraut.",
    "certificate.only": "Angenommen wird nur das Zertifikat aus der Option „certificate_fingerprint“:",
    "certificate.shown": "Das Gateway zeigt dieses:",
    "certificate.shown.same": "Das Gateway zeigt genau dieses.",
    "certificate.trusted": "Vertrautes Zertifikat",
    "certificate.new": "Neues Zertifikat, abgelehnt",
    "certificate.fingerprint": "Fingerabdruck (SHA-256)",
    "certificate.subject": "Name",
    "certificate.issuer": "Ausgestellt von",
    "certificate.valid": "Gültig",
    "certificate.valid.value": "{start} bis {end}",
    "certificate.first_seen": "Zuerst gesehen",
    "certificate.last_seen": "Zuletzt gesehen",
    "certificate.origin": "Vertraut, weil",
    "certificate.origin.first_use": "es das erste war, das das Gateway gezeigt hat",
    "certificate.origin.accepted": "Sie ihm vertraut haben",
    "certificate.origin.imported": "der frühere smgw-proxy es gespeichert hatte",
    "certificate.expired": "abgelaufen",
    "certificate.expires_soon": "läuft bald ab",
    "certificate.not_yet_valid": "noch nicht gültig",
    "certificate.changed": "Das Gateway zeigt ein anderes Zertifikat als bisher.",
    "certificate.meaning": "Das geschieht, wenn Ihr Messstellenbetreiber das Gateway austauscht oder sein "
    "Zertifikat erneuert. Es geschieht aber auch, wenn ein anderes Gerät die Adresse des Gateways hat, aus Versehen "
    "oder mit Absicht: Dieses Gerät bekäme dann Ihre Anmeldedaten. Haben Sie keinen Wechsel erwartet, "
    "dann fragen Sie Ihren Messstellenbetreiber, bevor Sie dem neuen Zertifikat vertrauen.",
    "certificate.kept": "Am {when} haben Sie entschieden, es weiter abzulehnen. Sie können es sich noch anders "
    "überlegen.",
    "certificate.trust": "Dem neuen Zertifikat vertrauen …",
    "certificate.keep": "Weiter ablehnen",
    "certificate.forget": "Vergessen …",
    "certificate.forget.why": "Danach wird dem nächsten Zertifikat vertraut, das das Gateway zeigt.",
    "certificate.command": "Dasselbe auf der Befehlszeile: {command}",
    "trust.title": "Dem neuen Zertifikat vertrauen?",
    "trust.question": "Der Proxy sendet dann Anfragen und Anmeldungen an das Gerät mit diesem Zertifikat:",
    "trust.yes": "Diesem Zertifikat vertrauen",
    "trust.no": "Abbrechen",
    "trust.nothing": "Zurzeit gibt es kein abgelehntes Zertifikat, dem vertraut werden könnte.",
    "trust.other": "Vorsicht: Inzwischen hat das Gateway ein weiteres Zertifikat gezeigt. Unten steht das neueste.",
    "forget.title": "Das vertraute Zertifikat vergessen?",
    "forget.question": "Bis zur nächsten Anfrage vertraut der Proxy dann niemandem; danach dem Gerät, das unter "
    "der Adresse des Gateways antwortet. Tun Sie das nur, wenn Sie sicher sind, dass es Ihr Gateway ist.",
    "forget.which": "Dieses Zertifikat würde vergessen:",
    "forget.yes": "Dieses Zertifikat vergessen",
    "forget.nothing": "Es ist kein Zertifikat gespeichert.",
    "notice.trusted": "Dem neuen Zertifikat wird jetzt vertraut.",
    "notice.kept": "Das neue Zertifikat bleibt abgelehnt. An dieses Gerät wird nichts gesendet.",
    "notice.forgotten": "Das Zertifikat ist vergessen. Dem nächsten, das das Gateway zeigt, wird vertraut.",
    "notice.nothing": "Es gab nichts zu tun: Ein solches Zertifikat ist nicht gespeichert.",
    "notice.other": "Es wurde nichts geändert: Inzwischen hat das Gateway noch ein anderes Zertifikat gezeigt. "
    "Sehen Sie es sich noch einmal an.",
    "notice.not_this": "Es wurde nichts geändert: Diesem Zertifikat wird nicht mehr vertraut. Sehen Sie es sich "
    "noch einmal an.",
    "notice.not_written": "Es wurde nichts geändert: Der Proxy kann nicht in seinen Ordner schreiben. Ist der "
    "Datenträger voll?",
    "notice.unreadable": "Es wurde nichts geändert: Das gespeicherte Zertifikat ist nicht lesbar. Lassen Sie es "
    "erst vergessen.",
    "notice.retried": "Der Zugang darf wieder versucht werden. Die nächste Anfrage zeigt, ob das Gateway ihn "
    "annimmt.",
    "notice.not_stopped": "Es wurde nichts geändert: Dieser Zugang war nicht angehalten.",
    "notice.restarting": "Die Option host_header steht jetzt auf smgw.local. Die App startet neu: Laden Sie diese "
    "Seite in einer halben Minute neu.",
    "notice.restart_failed": "Die Option ist gesetzt, aber Home Assistant hat die App nicht neu gestartet. Starten "
    "Sie sie selbst neu: Einstellungen → Apps → SMGW Proxy → Neustarten.",
    "notice.option_failed": "Es wurde nichts geändert: Home Assistant hat die Option nicht angenommen. Tragen Sie "
    "smgw.local selbst bei host_header in der Konfiguration der App ein, und starten Sie die App neu.",
    "notice.not_offered": "Es wurde nichts geändert: Die letzte Diagnose sagt nicht, dass das Gateway es braucht.",
    "notice.target_set": "Die Adresse des Gateways ist gesetzt. Die App startet jetzt neu: Diese Seite folgt von "
    "selbst, oder laden Sie sie in einer halben Minute neu.",
    "notice.target_failed": "Nichts wurde geändert: Home Assistant hat die Option nicht angenommen. Tragen Sie die "
    "Adresse selbst als „Adresse des Gateways“ in der Konfiguration der App ein, und starten Sie die App neu.",
    "notice.offer_gone": "Nichts wurde geändert: SMGW Network meldet dieses Gateway nicht mehr. Den Grund "
    "nennt seine Seite.",
    "notice.form": "Es wurde nichts geändert: Die Seite war veraltet. Bitte versuchen Sie es noch einmal.",
    # Programme
    "connect.title": "Programm verbinden",
    "connect.intro": "Tragen Sie diese Adressen in Ihrem Programm anstelle der Adresse des Gateways ein. "
    "Benutzername und Passwort bleiben die Ihres Messstellenbetreibers.",
    "connect.inside": "innerhalb von Home Assistant",
    "connect.network": "in Ihrem Netz",
    "connect.placeholder": "ADRESSE-VON-HOME-ASSISTANT",
    "connect.placeholder.note": "{placeholder} steht für den Namen oder die Adresse, unter der Sie Home Assistant "
    "erreichen.",
    "connect.port.note": "Haben Sie in den Einstellungen der App einen anderen Port gewählt, nehmen Sie diesen statt "
    "{port}. Ist er dort abgeschaltet, erreichen Programme außerhalb von Home Assistant den Proxy nicht.",
    "connect.user": "BENUTZERKENNUNG",
    "connect.user.note": "{user} steht für die Kennung, die Sie von Ihrem Messstellenbetreiber bekommen haben. "
    "Sobald sich ein Programm angemeldet hat, steht hier die genaue Adresse.",
    "connect.others": "Gateways anderer Hersteller",
    "connect.url": "URL",
    "connect.host": "Host",
    "connect.command": "Befehl",
    "connect.page": "Die Seite des Gateways öffnen",
    "connect.page.note": "Melden Sie sich dort ab, wenn Sie fertig sind: Eine offene Sitzung kann andere Programme "
    "aussperren.",
    "connect.guide.ppc_smgw": "ha-ppc-smgw, Gateway von {vendor}",
    "connect.guide.theben_conexa": "Theben Conexa, die Integration, die Home Assistant mitbringt",
    "connect.guide.evcc": "evcc und andere Programme, die nach der Adresse des Gateways fragen",
    "connect.guide.sagemcom": "Programme für ein Gateway von Sagemcom",
    "connect.guide.curl": "curl, zum Ausprobieren",
    "connect.guide.browser": "Die Seite des Gateways, im Browser",
    "connect.https": "Diese Integration braucht HTTPS auf Port 443: Starten Sie den Proxy mit --https-port 443.",
    "connect.headers": "Ein Programm muss mit jeder Anfrage unter /smgw/hgp/ die Header Request-ID, Device-ID und "
    "Transport-Version senden und Antworten in gzip lesen; der Proxy reicht beides unverändert durch. ha-ppc-smgw, "
    "evcc und die Integration von Home Assistant können diesen Hersteller nicht lesen. TRuDI kann es; durch den "
    "Proxy ist es nicht erprobt.",
    "connect.headers.values": "Was in den Headern stehen muss, sagt die Schnittstellenbeschreibung des Herstellers. "
    "Ohne sie antwortet das Gateway mit 403: Schon das zeigt, dass der Proxy es erreicht.",
    "clients.title": "Programme",
    "clients.none": "In den letzten 24 Stunden hat niemand abgefragt.",
    "clients.caption": "Wer in den letzten 24 Stunden abgefragt hat",
    "clients.address": "Adresse",
    "clients.requests": "Anfragen",
    "clients.errors": "Fehler",
    "clients.last": "Zuletzt",
    "clients.polls": "Zusammen haben sie das Gateway in der letzten Stunde {polls}-mal abgefragt. Bei mehr als "
    "{many}-mal in der Stunde haben sich Gateways schon selbst gesperrt. Alle 15 Minuten genügt.",
    # Anfragen
    "requests.title": "Anfragen",
    "requests.none": "Es gab noch keine Anfrage.",
    "requests.caption": "Die letzten Anfragen, die neueste zuerst; Passwörter und andere Geheimnisse sind "
    "weggelassen",
    "requests.time": "Zeit",
    "requests.client": "Von",
    "requests.request": "Anfrage",
    "requests.result": "Ergebnis",
    "requests.closed": "geschlossen",
    "requests.waiting": "Warten",
    "requests.connecting": "Verbinden",
    "requests.answering": "Antworten",
    "requests.kept": "gehaltene Verbindung",
    "requests.all": "Die letzten {count} Anfragen zeigen",
    "requests.bundle": "Diagnosedatei herunterladen",
    "requests.bundle.note": "Versionen, Optionen, Zustand und die letzten Zeilen des Protokolls, ohne Geheimnisse "
    "und Inhalte: Hängen Sie sie an eine Fehlermeldung an.",
    # Netzwerkdiagnose
    "diagnosis.title": "Netzwerkdiagnose",
    "diagnosis.intro": "Prüft den Weg zum Gateway Schritt für Schritt und sagt, was zu ändern ist. Das dauert bis "
    "zu einer Minute.",
    "diagnosis.run": "Diagnose starten",
    "diagnosis.running": "Läuft …",
    "diagnosis.ok": "in Ordnung",
    "diagnosis.failed": "fehlgeschlagen",
    "diagnosis.noted": "Hinweis",
    "diagnosis.skipped": "nicht geprüft",
    "diagnosis.smgw_local": "host_header auf smgw.local setzen und neu starten",
    "diagnosis.smgw_local.note": "Die App startet von selbst neu. Laufende Anfragen enden; Clients fragen wieder.",
    "diagnosis.when": "Ergebnis vom {when}",
    "diagnosis.broken": "Die Diagnose konnte nicht abgeschlossen werden. Sehen Sie in das Protokoll des Proxys.",
    "error.title": "Diese Seite gibt es nicht",
    "error.forbidden": "Diese Seite lässt sich nur über Home Assistant öffnen oder auf dem Rechner, auf dem der "
    "Proxy läuft.",
}
"""The words by key; what is in braces is filled in."""
