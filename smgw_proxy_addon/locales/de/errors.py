"""What each error means and what to do about it, in German; parts in square brackets need their facts."""

from collections.abc import Mapping
from typing import Final

from smgw_proxy_addon.locales import Explanation

WHAT_TO_DO: Final = "Was zu tun ist"
"""The heading above the remedy."""

WORDS: Final[Mapping[str, Explanation]] = {
    "internal_error": Explanation(
        "Im Proxy ist ein Fehler aufgetreten",
        "Im Proxy ist etwas geschehen, womit er nicht umgehen kann.",
        "Versuchen Sie es noch einmal. Geschieht es wieder, melden Sie es bitte zusammen mit dem Protokoll des "
        "Proxys.",
    ),
    "bad_request": Explanation(
        "Der Proxy versteht diese Anfrage nicht",
        "Das anfragende Programm hat keine gültige HTTP-Anfrage geschickt. An das Gateway wurde nichts gesendet.",
        "Prüfen Sie die Adresse, die in diesem Programm eingetragen ist: Adresse und Port des Proxys, mit http:// "
        "für den HTTP-Port und https:// für den HTTPS-Port.",
    ),
    "https_required": Explanation(
        "Dieser Port spricht nur HTTPS",
        "Das anfragende Programm hat einfaches HTTP an den HTTPS-Port des Proxys geschickt. An das Gateway wurde "
        "nichts gesendet.",
        "Schreiben Sie https:// statt http:// in die Adresse[: https://{host}/].",
    ),
    "login_required": Explanation(
        "Bitte anmelden",
        "Der Proxy fragt selbst nach Benutzername und Passwort, und sie fehlten, waren veraltet oder falsch. An das "
        "Gateway wurde nichts gesendet.",
        "Tragen Sie in dem Programm, das fragt, Benutzername und Passwort des Gateways ein, und zwar Zeichen für "
        "Zeichen wie in der Option „accounts“. Nur Digest-Anmeldungen werden angenommen, keine nach Basic.",
    ),
    "too_many_logins": Explanation(
        "Zu viele falsche Anmeldungen",
        "Ein Programm mit derselben Adresse meldet sich immer wieder mit falschem Passwort beim Proxy an. Darum wird "
        "eine Anmeldung je Sekunde geprüft, und es warteten so viele, dass diese nicht geprüft wurde. An das Gateway "
        "wurde nichts gesendet.",
        "Berichtigen Sie Benutzername und Passwort in dem Programm, in dem sie falsch sind, oder schalten Sie es ab: "
        "Das Protokoll des Proxys nennt seine Adresse. Warten Sie dann zehn Sekunden.",
    ),
    "login_held_back": Explanation(
        "Dieses Programm hat ein falsches Passwort",
        "Das Gateway hat mehrere Anmeldungen dieses Programms hintereinander abgelehnt. Damit es sich nicht sperrt, "
        "hält der Proxy weitere mit demselben Benutzernamen von derselben Adresse zurück[, von jetzt an {seconds} "
        "Sekunden lang]. An das Gateway wurde nichts gesendet.",
        "Berichtigen Sie Benutzername und Passwort in dem anfragenden Programm: Es sind die HAN-Zugangsdaten Ihres "
        "Messstellenbetreibers, nicht die eines Kundenportals. Warten Sie danach, bis es wieder anfragen darf; eine "
        'richtige Anmeldung beendet es. Die Option "hold_back_logins" (auf der Kommandozeile '
        "--no-hold-back-logins) schaltet es ab.",
    ),
    "request_line_too_long": Explanation(
        "Die Adresse ist zu lang",
        "Das anfragende Programm hat eine Adresse geschickt, die länger ist als jede, die ein Gateway versteht. An "
        "das Gateway wurde nichts gesendet.",
        "Prüfen Sie die Adresse, die in diesem Programm eingetragen ist.",
    ),
    "headers_too_large": Explanation(
        "Die Anfrage hat zu große Header",
        "Die Header der Anfrage brauchen mehr Platz, als der Proxy ihnen gibt. An das Gateway wurde nichts gesendet.",
        "Löschen Sie im Browser die Cookies für die Adresse des Proxys. Sonst melden Sie es den Autoren des "
        "Programms.",
    ),
    "body_too_large": Explanation(
        "Die Anfrage ist zu groß",
        "Die Anfrage enthält mehr Daten, als der Proxy durchlässt[: Die Grenze ist {limit} MB].",
        "Braucht das Gateway wirklich so viel, erhöhen Sie die Option „max_body_mb“ (auf der Kommandozeile "
        "--max-body-mb).",
    ),
    "foreign_network": Explanation(
        "Dieses Gerät darf den Proxy nicht benutzen",
        "Die Anfrage kam von einer Adresse außerhalb der Netze, die den Proxy benutzen dürfen[: {peer}].",
        "Benutzen Sie den Proxy nur aus Ihrem Heimnetz. Machen Sie ihn nie aus dem Internet erreichbar. Gehört das "
        "Gerät wirklich Ihnen, nehmen Sie seine Adresse[, {peer},] oder sein Netz in die Option „allow“ auf (auf der "
        "Kommandozeile --allow).",
    ),
    "foreign_origin": Explanation(
        "Eine fremde Website hat diese Anfrage ausgelöst",
        "Eine Seite einer anderen Website hat Ihren Browser diese Anfrage senden lassen. Der Proxy hat sie "
        "abgelehnt, um Ihre Zählerdaten zu schützen.",
        "Geben Sie die Adresse des Proxys selbst in die Adresszeile des Browsers ein.",
    ),
    "method_not_allowed": Explanation(
        "Dies ist kein Proxy für andere Adressen",
        "Das anfragende Programm benutzt smgw-proxy als allgemeinen Web-Proxy; er führt aber nur zu Ihrem Gateway.",
        "Entfernen Sie smgw-proxy aus den Proxy-Einstellungen dieses Programms und tragen Sie seine Adresse dort "
        "ein, wo die Adresse des Gateways erwartet wird.",
    ),
    "client_stalled": Explanation(
        "Die Anfrage blieb stecken",
        "Das anfragende Programm hat seine Anfrage nicht[ innerhalb von {seconds} Sekunden] zu Ende geführt; sein "
        "Platz wurde deshalb freigegeben.",
        "Versuchen Sie es noch einmal. Geschieht es wieder, prüfen Sie das Netzwerk zwischen diesem Programm und "
        "dem Proxy.",
    ),
    "client_gone": Explanation(
        "Das anfragende Programm war schon fort",
        "Das anfragende Programm hat die Verbindung beendet, bevor das Gateway geantwortet hatte.",
        "Geschieht es oft, geben Sie diesem Programm mehr Zeit: Manche Gateways brauchen 15 Sekunden für eine "
        "Antwort.",
    ),
    "expectation_failed": Explanation(
        "Das Programm verlangt etwas Unbekanntes",
        "Die Anfrage enthält einen Expect-Header, den weder der Proxy noch ein Gateway kennt.",
        "Schalten Sie diese Funktion im anfragenden Programm ab oder melden Sie es dessen Autoren.",
    ),
    "misdirected_request": Explanation(
        "Unter diesem Namen kennt sich der Proxy nicht",
        "Die Anfrage gilt einem anderen Namen[ ({host})]. Namen, die er nicht kennt, lehnt der Proxy ab, weil "
        "Websites damit über Ihren Browser auf Ihr Gateway zugreifen könnten.",
        "Benutzen Sie die IP-Adresse des Proxys oder den Namen seines Rechners. Gehört der Name[ {host}] wirklich "
        "Ihnen, nehmen Sie ihn in die Option „allowed_hosts“ auf (auf der Kommandozeile --allowed-host).",
    ),
    "queue_full": Explanation(
        "Zu viele Anfragen auf einmal",
        "Ein Gateway kann nur sehr wenige Anfragen gleichzeitig beantworten, und es warten schon zu viele.",
        "Versuchen Sie es in einigen Sekunden noch einmal. Geschieht es oft, lassen Sie Ihre Programme seltener "
        "fragen: Neue Messwerte gibt es nur alle 15 Minuten.",
    ),
    "queue_timeout": Explanation(
        "Das Gateway war zu lange beschäftigt",
        "Die Anfrage hat[ {seconds} Sekunden lang] darauf gewartet, an die Reihe zu kommen, aber das Gateway war "
        "noch mit anderen beschäftigt.",
        "Versuchen Sie es in einigen Sekunden noch einmal. Geschieht es oft, lassen Sie Ihre Programme seltener "
        "fragen: Neue Messwerte gibt es nur alle 15 Minuten.",
    ),
    "too_many_connections": Explanation(
        "Zu viele Verbindungen auf einmal",
        "Die Programme in Ihrem Netz beschäftigen mehr Verbindungen zum Proxy, als er annimmt.",
        "Versuchen Sie es in einigen Sekunden noch einmal. Geschieht es wieder, sehen Sie nach, welches Gerät so "
        "viel fragt: Die Seite des Proxys und sein Protokoll nennen die Programme.",
    ),
    "out_of_descriptors": Explanation(
        "Der Proxy kann nichts mehr öffnen",
        "Der Proxy oder der Rechner, auf dem er läuft, hat so viele Verbindungen und Dateien offen, wie das System "
        "erlaubt. Ans Gateway wurde nichts gesendet.",
        "Versuchen Sie es in einigen Sekunden noch einmal. Geschieht es wieder, sehen Sie nach, welches Gerät so "
        "viele Verbindungen offen hält: Die Seite des Proxys und sein Protokoll nennen die Programme. Oder erhöhen "
        "Sie die Grenze für offene Dateien (ulimit -n, für einen Container --ulimit nofile).",
    ),
    "session_busy": Explanation(
        "Am Gateway ist schon jemand angemeldet",
        "Dieses Gateway erlaubt nur eine Sitzung zugleich, und ein anderer Client hat seine nicht[ innerhalb von "
        "{seconds} Sekunden] beendet.",
        "Versuchen Sie es in einer halben Minute noch einmal. Ist die Seite des Gateways in einem Browser offen, "
        "melden Sie sich dort ab. Geschieht es oft, lassen Sie Ihre Programme zu verschiedenen Zeiten fragen.",
    ),
    "shutting_down": Explanation(
        "Der Proxy wird beendet",
        "Der Proxy wird gerade beendet oder neu gestartet und nimmt keine neuen Anfragen an.",
        "Versuchen Sie es in einer halben Minute noch einmal.",
    ),
    "gateway_error": Explanation(
        "Mit dem Gateway stimmt etwas nicht",
        "Das Gateway[ unter {target}] oder die Verbindung dorthin hat auf eine Weise versagt, die der Proxy nicht "
        "kennt.",
        "Versuchen Sie es in einer Minute noch einmal. Geschieht es wieder, sehen Sie in das Protokoll des Proxys.",
    ),
    "gateway_unreachable": Explanation(
        "Das Gateway ist nicht erreichbar",
        "Von diesem Rechner führt kein Weg zum Gateway[ unter {target}]. Ein Gateway antwortet nur Geräten, die "
        "eine Adresse in seinem eigenen Netz haben.",
        "Prüfen Sie das Kabel zur HAN-Schnittstelle des Gateways und ob dieser Rechner eine Adresse im Netz des "
        "Gateways hat (für 10.11.120.2 zum Beispiel 10.11.120.10): In Home Assistant sorgt die App SMGW Network "
        "dafür. Prüfen Sie die Option „target“.",
    ),
    "gateway_name_unknown": Explanation(
        "Der Name des Gateways ist unbekannt",
        "Zum Namen des Gateways[ ({target})] gibt es in Ihrem Netz keine Adresse.",
        "Prüfen Sie die Schreibweise in der Option „target“, oder tragen Sie dort besser die IP-Adresse des Gateways "
        "ein, aus dem Brief Ihres Messstellenbetreibers. Namen wie smgw.local gelten nur in dessen eigenem Netz.",
    ),
    "gateway_refused": Explanation(
        "Das Gateway lehnt die Verbindung ab",
        "Unter der Adresse des Gateways[ ({target})] antwortet ein Gerät, nimmt aber keine Verbindung an.",
        "Prüfen Sie, ob Adresse und Port zum Gateway gehören und nicht zu einem anderen Gerät. Manche Gateways "
        "lehnen nach einem Neustart einige Minuten lang jede Verbindung ab.",
    ),
    "gateway_connect_timeout": Explanation(
        "Das Gateway antwortet nicht",
        "Die Verbindung zum Gateway[ unter {target}] kam nicht[ innerhalb von {seconds} Sekunden] zustande.",
        "Prüfen Sie das Kabel und ob dieser Rechner eine Adresse im Netz des Gateways hat: In Home Assistant sorgt "
        "die App SMGW Network dafür. Ein Gateway, das zu oft gefragt wurde, sperrt womöglich seine "
        "HAN-Schnittstelle: Warten Sie dann ab und fragen Sie Ihren Messstellenbetreiber, wenn es so bleibt.",
    ),
    "gateway_tls_failed": Explanation(
        "Keine sichere Verbindung zum Gateway",
        "Das Gerät unter der Adresse des Gateways[ ({target})] und der Proxy konnten sich nicht auf eine "
        "verschlüsselte Verbindung einigen.",
        "Prüfen Sie, ob Adresse und Port die des Gateways sind und ob die Option „tls“ auf „auto“ steht. Den "
        "technischen Grund nennt das Protokoll des Proxys.",
    ),
    "gateway_wants_certificate": Explanation(
        "Das Gateway verlangt ein Zertifikat als Anmeldung",
        "Das Gateway[ unter {target}] hat den Verbindungsaufbau abgebrochen, weil es vom Proxy kein Zertifikat bekam "
        "oder keines, das es annimmt.",
        "Bitten Sie Ihren Messstellenbetreiber um ein Zertifikat mit Schlüssel und tragen Sie beide in die Optionen "
        "„client_certfile“ und „client_keyfile“ ein. Haben Sie das schon, prüfen Sie, ob es die für dieses Gateway "
        "sind und ob sie nicht abgelaufen sind. Viele Gateways nehmen auch Benutzername und Passwort, wenn der "
        "Betreiber sie einrichtet.",
    ),
    "target_is_proxy": Explanation(
        "Der Proxy soll sich selbst fragen",
        "Unter der Adresse des Gateways[ ({target})] antwortet dieser Proxy. Es wurde ihm nichts gesendet und sein "
        "Zertifikat nicht gespeichert.",
        "Tragen Sie in die Option „target“ die Adresse des Gateways ein: Sie steht im Brief Ihres "
        "Messstellenbetreibers. Die Adresse des Proxys gehört in die Programme, die ihn fragen.",
    ),
    "certificate_changed": Explanation(
        "Das Gateway zeigt ein anderes Zertifikat als bisher",
        "Das Gerät[ unter {target}] weist sich mit einem neuen Zertifikat aus. Entweder wurde das Gateway oder sein "
        "Zertifikat ausgetauscht, oder ein anderes Gerät gibt sich als Ihr Gateway aus. Es wurde ihm nichts "
        "gesendet, nicht einmal ein Passwort."
        "[\nBisher vertraut: {pinned_groups}]"
        "[\n(gültig von {pinned_not_before} bis {pinned_not_after})]"
        "[\nJetzt gezeigt: {presented_groups}]"
        "[\n({presented_subject})]"
        "[\n(gültig von {presented_not_before} bis {presented_not_after})]",
        "Hat Ihr Messstellenbetreiber das Gateway getauscht oder aktualisiert, oder bestätigt er das neue "
        "Zertifikat, dann vertrauen Sie ihm.\n"
        "In der Home-Assistant-App: Benutzeroberfläche öffnen → Zertifikat → Dem neuen Zertifikat vertrauen …\n"
        "Auf der Befehlszeile, mit demselben --cert-dir wie der Proxy: smgw-proxy trust accept[ --target {target}]"
        "[ --fingerprint {presented}]\n"
        "Wenn nicht, vertrauen Sie ihm nicht: Prüfen Sie, was angeschlossen ist, und fragen Sie Ihren "
        "Messstellenbetreiber.",
    ),
    "certificate_not_allowed": Explanation(
        "Das Gateway zeigt nicht das eingetragene Zertifikat",
        "Das Gerät[ unter {target}] weist sich mit einem anderen Zertifikat aus als dem eingetragenen. Es wurde ihm "
        "nichts gesendet, nicht einmal ein Passwort."
        "[\nEingetragen: {pinned_groups}]"
        "[\nGezeigt: {presented_groups}]"
        "[\n({presented_subject})]"
        "[\n(gültig von {presented_not_before} bis {presented_not_after})]",
        "Vergleichen Sie beide mit den Angaben Ihres Messstellenbetreibers. Ist das neue richtig, tragen Sie es in "
        "die Option „certificate_fingerprint“ ein (auf der Befehlszeile --fingerprint) oder lassen Sie diese Option "
        "leer.",
    ),
    "pin_unreadable": Explanation(
        "Das gespeicherte Zertifikat ist nicht lesbar",
        "Die Datei mit dem vertrauten Zertifikat des Gateways[ ({file})] ist beschädigt oder darf nicht gelesen "
        "werden[: {problem}]. Zur Sicherheit sendet der Proxy nichts an das Gateway.",
        "Stellen Sie die Datei aus einer Sicherung wieder her, oder lassen Sie den Proxy das Zertifikat vergessen; "
        "dann wird dem nächsten vertraut, das das Gateway zeigt.\n"
        "In der Home-Assistant-App: Benutzeroberfläche öffnen → Zertifikat → Vergessen …\n"
        "Auf der Befehlszeile, mit demselben --cert-dir und --target wie der Proxy: smgw-proxy trust forget"
        "[ --target {target}]",
    ),
    "pin_not_written": Explanation(
        "Das Zertifikat des Gateways lässt sich nicht speichern",
        "Der Proxy konnte das Zertifikat des Gateways nicht in seinen Ordner[ {folder}] schreiben[: {problem}]. Zur "
        "Sicherheit sendet er nichts an das Gateway.",
        "Prüfen Sie, ob der Datenträger voll ist und ob der Proxy in diesen Ordner schreiben darf.",
    ),
    "gateway_connection_lost": Explanation(
        "Die Verbindung zum Gateway ist abgebrochen",
        "Das Gateway[ unter {target}] hat die Verbindung beendet, bevor es geantwortet hat. Der Proxy sendet die "
        "Anfrage nicht noch einmal, weil sie schon ausgeführt worden sein könnte.",
        "Versuchen Sie es noch einmal.",
    ),
    "gateway_closed_without_answer": Explanation(
        "Vermutlich falscher Benutzername oder falsches Passwort",
        "Das Gateway[ unter {target}] hat die Verbindung ohne Antwort auf die Anmeldung beendet. So teilen Gateways "
        "von Theben mit, dass Benutzername oder Passwort falsch ist.",
        "Prüfen Sie Benutzername und Passwort: Es sind die HAN-Zugangsdaten Ihres Messstellenbetreibers, nicht die "
        "eines Kundenportals. Ein Punkt am Ende einer SMS gehört nicht zum Passwort. Nach mehreren falschen "
        "Anmeldungen lehnt das Gateway einige Minuten lang jede Anmeldung ab: Warten Sie dann.",
    ),
    "gateway_login_refused": Explanation(
        "Das Gateway lehnt Benutzername oder Passwort ab",
        "Das Gateway[ unter {target}] hat die Anmeldung nicht angenommen, die in den Optionen des Proxys steht. "
        "Nach der zweiten Ablehnung hintereinander hört der Proxy auf, damit sich das Gateway nicht sperrt.",
        "Prüfen Sie die Option „accounts“: Hinein gehören die HAN-Zugangsdaten Ihres Messstellenbetreibers, nicht "
        "die eines Kundenportals. Ein Punkt am Ende einer SMS gehört nicht zum Passwort. Sind sie richtig, stellen "
        "Sie die Option „digest_algorithm“ auf auto, bei einem Gateway von Theben auf md5.",
    ),
    "gateway_login_paused": Explanation(
        "Der Proxy wartet vor der nächsten Anmeldung",
        "Das Gateway[ unter {target}] hat die Verbindung ohne Antwort auf die Anmeldung des Proxys beendet. So "
        "teilen Gateways von Theben mit, dass Benutzername oder Passwort falsch ist. Es kann aber auch eine "
        "vorübergehende Störung sein, etwa ein Neustart.",
        "Warten Sie[: In {seconds} Sekunden wird die nächste Anmeldung gesendet]. Wurde das Passwort geändert, "
        "tragen Sie das neue in der Option „accounts“ ein und starten Sie den Proxy neu.",
    ),
    "gateway_login_stopped": Explanation(
        "Der Proxy meldet sich nicht mehr an",
        "Das Gateway[ unter {target}] hat Benutzername oder Passwort zweimal hintereinander abgelehnt. Seitdem "
        "sendet der Proxy mit diesem Zugang nichts mehr, weil sich Gateways nach mehreren falschen Anmeldungen "
        "sperren.",
        "Berichtigen Sie die Option „accounts“ und starten Sie den Proxy neu. War sie immer richtig, warten "
        "Sie einige Minuten und drücken Sie dann auf der Statusseite Erneut versuchen. Ein Proxy ohne diese Seite: "
        "Halten Sie ihn an, löschen Sie im Ordner seiner Zertifikate die Datei, die auf „logins“ endet, und starten "
        "Sie ihn. Die HAN-Zugangsdaten kommen von Ihrem Messstellenbetreiber; ein Punkt am Ende einer SMS gehört "
        "nicht zum Passwort.",
    ),
    "login_expired": Explanation(
        "Das Gateway verlangt eine neue Anmeldung",
        "Das Gateway[ unter {target}] hat erneut nach der Anmeldung gefragt, und diese Anfrage war zu groß, um sie "
        "zweimal zu senden.",
        "Versuchen Sie es noch einmal: Der Proxy weiß jetzt, was das Gateway verlangt.",
    ),
    "gateway_bad_answer": Explanation(
        "Die Antwort des Gateways ist unverständlich",
        "Was von der Adresse des Gateways[ ({target})] kam, ist keine gültige HTTP-Antwort.",
        "Prüfen Sie, ob Adresse und Port die des Gateways sind. Wenn ja, starten Sie den Proxy neu, und melden Sie "
        "es mit dem Protokoll des Proxys, wenn es wieder geschieht.",
    ),
    "gateway_answer_truncated": Explanation(
        "Die Antwort des Gateways ist unvollständig",
        "Das Gateway[ unter {target}] hat die Verbindung mitten in seiner Antwort beendet.",
        "Versuchen Sie es noch einmal. Geschieht es oft, prüfen Sie das Kabel zum Gateway.",
    ),
    "gateway_timeout": Explanation(
        "Das Gateway braucht zu lange",
        "Das Gateway[ unter {target}] hat die Anfrage angenommen und nicht[ innerhalb von {seconds} Sekunden] "
        "geantwortet.",
        "Warten Sie eine Minute und versuchen Sie es noch einmal. Braucht das Gateway länger, zum Beispiel für "
        "einen langen Export, erhöhen Sie die Option „read_timeout“.",
    ),
}
