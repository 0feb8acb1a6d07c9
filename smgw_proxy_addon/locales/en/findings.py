"""Each outcome of the network diagnosis, and its steps, in English."""

from collections.abc import Mapping
from typing import Final

from smgw_proxy_addon.locales import Outcome, Report

STEPS: Final[Mapping[str, str]] = {
    "name": "Name",
    "address": "Network address",
    "tcp": "Connection",
    "tls": "Encryption",
    "certificate": "Certificate",
    "http": "Answer",
}

REPORT: Final = Report(
    ok="ok",
    warning="warning",
    failed="FAILED",
    skipped="-",
    what_to_do="What to do: ",
    good="All is well.",
    bad="It does not work: see what to do above.",
)

_HOW_TO_ADD: Final = (
    "Install and start SMGW Network, the second app of this repository: it gives this computer an address by itself, "
    "and changes no network setting.\n"
    "By hand there are three ways.\n"
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

WORDS: Final[Mapping[str, Outcome]] = {
    "not_tried": Outcome("Not tried, because of what is told above or below."),
    "kept": Outcome("In use: the proxy keeps a connection to {at}, so no second one was opened."),
    "failed": Outcome(
        "This step failed in a way that is not known: {reason}.",
        "Please report it with the proxy's log.",
    ),
    # Name
    "name_ok": Outcome("The name {host} belongs to the address {addresses}."),
    # Address
    "address_ok": Outcome("This computer has the address {own} in the gateway's network, on {interface}."),
    "address_reached": Outcome("This computer reaches the gateway."),
    "address_routed": Outcome(
        "This computer has no address in {network} but reaches the gateway, over a router in between.",
    ),
    "address_not_known": Outcome(
        "It cannot be told from here whether this computer has an address in the gateway's network.",
    ),
    "address_relay": Outcome("The way to the gateway {target} leads through the relay of SMGW Network ({at})."),
    "address_missing_app": Outcome(
        "This computer has no address in the gateway's network (probably {network}).",
        _HOW_TO_ADD,
    ),
    "address_missing": Outcome(
        "This computer has no address in the gateway's network (probably {network}).",
        "Give it one on the network port that leads to the gateway: {add}, netmask {netmask}. To try it until the "
        "next start: sudo ip address add {add}/{prefix} dev {interface}\n"
        "If that helps, enter it in the network settings of your system. Or put a small router with NAT beside the "
        "meter, and a static route to {network} over it on this computer.\n"
        "An address from another network will not do: the gateway answers only neighbours. A ping proves nothing.",
    ),
    "address_missing_ipv6": Outcome(
        "This computer has no address in the gateway's network (probably {network}).",
        "Use the gateway's IPv4 address, if it has one; or give this computer an IPv6 address in {network}.",
    ),
    "address_down": Outcome(
        "The network port {interface} ({own}) leads to the gateway, but it is switched off or has no cable.",
        "Plug in the cable between {interface} and the gateway at both ends; its lights must be on. Check that the "
        "port is not disabled in the network settings.",
    ),
    "address_is_own": Outcome(
        "This computer itself has the gateway's address {address}.",
        "Give this computer another address in the same network: no two devices may have the same one.",
    ),
    "address_no_zone": Outcome(
        "This address is valid on one network port only, and this computer has none named {interface}.",
        'Name the port that leads to the gateway after the address in the option "target", such as %eth0.',
    ),
    "address_without_zone": Outcome(
        "This address is valid on one network port only, and which one is not said.",
        'Name the port that leads to the gateway after the address in the option "target", such as %eth0.',
    ),
    "address_link_local_app": Outcome(
        "An address that begins with fe80 cannot be reached from inside a Home Assistant app.",
        "Install and start SMGW Network, the second app of this repository: it passes connections on to such a "
        'gateway. Or enter the gateway\'s IPv4 address in the option "target"; your metering point operator knows '
        "it.",
    ),
    "address_of_apps": Outcome(
        "The gateway's address belongs to the network in which Home Assistant keeps its apps (172.30.32.0/23). Only "
        "Home Assistant itself can reach a gateway with such an address, but no app.",
        "Put a small router with NAT beside the meter, and enter the address that the gateway then has for your home "
        'in the option "target". Or run the proxy on another computer. A cable or a second address will not help.',
    ),
    # TCP
    "tcp_ok": Outcome("{at} accepts connections."),
    "tcp_busy": Outcome(
        "The gateway was busy with other requests all the time.",
        "Try again in a minute. If it is always so, let your programs ask less often: new readings appear only "
        "every 15 minutes.",
    ),
    "tcp_refused": Outcome(
        "A device at {at} refuses the connection.",
        "Check that this is the gateway's address, and not that of another device. After a restart, some gateways "
        "refuse for some minutes: then wait.",
    ),
    "tcp_refused_port": Outcome(
        "A device answers at this address, but nobody at port {port}.",
        'Gateways listen at port 443: leave the port ":{port}" out of the option "target".',
    ),
    "tcp_timeout": Outcome(
        "Nobody answers at {at}: no connection within {seconds} seconds.",
        "Look at the network address above first. If that is right, check the cable and the gateway's address; "
        "something on the way (a firewall, a router without NAT) may swallow the packets, or the gateway is off. A "
        "gateway with a blocked HAN port is silent, too: your metering point operator can tell.",
    ),
    "tcp_no_route": Outcome(
        "This computer knows no way to {at}.",
        "Give it an address in the gateway's network, as told above.",
    ),
    "tcp_nobody": Outcome(
        "There is no device with this address in the gateway's network ({at}).",
        "Check the cable at both ends, that it is in the gateway's HAN socket (not WAN or LMN), and the address: it "
        "is in the letter of your metering point operator.",
    ),
    "tcp_of_apps": Outcome(
        "Nobody answers at {at}: an app looks for this address among the other apps, and not behind a cable.",
        "See the network address above.",
    ),
    "tcp_no_relay": Outcome(
        "Nobody passes connections on at {at}: SMGW Network does not run, or has not found the gateway {target}.",
        "Start the app SMGW Network, and look at its page: it says whether the gateway is there. When it shows the "
        "gateway at another address, this page offers it.",
    ),
    # TLS
    "tls_ok": Outcome("The encrypted connection works."),
    "tls_silent": Outcome(
        "The device at {at} accepts the connection and then says nothing: the gateway seems to be locked, or this is "
        "not the gateway or not its port.",
        "First check that address and port are the gateway's: another device that does not speak HTTPS there may be "
        "just as silent. If they are, stop every program that asks the gateway, wait for an hour, and try again. If "
        "it stays like this, ask your metering point operator to unlock the HAN port; that can take weeks.",
    ),
    "tls_closed": Outcome(
        "The device at {at} closes the connection before it is encrypted.",
        "Close other connections to the gateway (browser, TRuDI, other integrations), wait some minutes and try "
        "again. Check that address and port are the gateway's.",
    ),
    "tls_relay_silent": Outcome(
        "SMGW Network passes the connection on at {at}, but the gateway {target} behind it does not answer.",
        "Open the page of SMGW Network: it says whether the gateway is there. Check the cable at both ends. If the "
        "gateway is there, close other connections to it (browser, TRuDI, other integrations), wait some minutes and "
        "try again.",
    ),
    "tls_plain": Outcome(
        "What answers at {at} does not speak HTTPS: no Smart Meter Gateway, or the wrong port.",
        'Check the option "target": a gateway speaks HTTPS only, at port 443. If there is another device (a router, '
        "a printer), it has the wrong address.",
    ),
    "tls_illegal_parameter": Outcome(
        'The device at {at} ends the handshake with alert 47 ("illegal parameter"), as gateways of Sagemcom do with '
        "every ordinary program, browsers and curl included.",
        'Set the option "tls" to "auto": then the proxy speaks as these gateways want it. If it is, please report '
        "this with the maker and model of your gateway.",
    ),
    "tls_no_common": Outcome(
        'The device at {at} ends the handshake with alert 40 ("handshake failure"): it finds no cipher or curve '
        "that both sides know.",
        'Check that address and port are the gateway\'s, and that the option "tls" is "auto". If so, please '
        "report it with the maker and model of your gateway.",
    ),
    "tls_curve": Outcome(
        "The device at {at} ends the handshake ({reason}). This computer's TLS library does not offer it the curves "
        "that some gateways demand (brainpool).",
        "Check that this is the gateway. If it is, use the app or the container image: they offer these curves.",
    ),
    "tls_version": Outcome(
        "The device at {at} speaks no version of TLS that it is offered ({reason}). Smart Meter Gateways speak TLS "
        "1.2, newer ones TLS 1.3 as well or instead.",
        'Check address and port in the option "target". If they are right, remove the options "tls" and "tls_max": '
        "then both versions are offered.",
    ),
    "tls_client_certificate": Outcome(
        "The device at {at} wants a certificate of the proxy as login: it got none, or not one that it takes "
        "({reason}).",
        "If this is your gateway, ask your metering point operator for a certificate with its key, and enter both in "
        'the options "client_certfile" and "client_keyfile". If not, check address and port in the option "target".',
    ),
    "tls_name": Outcome(
        'The device at {at} does not know itself by the name {host} (alert 112, "unrecognized name").',
        'Enter the gateway\'s IP address in the option "target".',
    ),
    "tls_internal_error": Outcome(
        'The gateway ends the handshake because of a fault of its own (alert 80, "internal error").',
        "Wait some minutes and try again. If it stays like this, ask your metering point operator to restart it.",
    ),
    "tls_access_denied": Outcome(
        'The gateway denies access (alert 49, "access denied").',
        "Wait for an hour and try again. If it stays like this, ask your metering point operator whether your HAN "
        "access is open.",
    ),
    "tls_alert": Outcome(
        "The device at {at} ends the handshake with an alert: {reason}.",
        "Check that this is the gateway. If it is, please report this message and the maker of your gateway.",
    ),
    "tls_failed": Outcome(
        "The encrypted connection to {at} did not come about: {reason}.",
        "Check that this is the gateway. If it is, please report this message and the maker of your gateway.",
    ),
    # Certificate
    "certificate_ok": Outcome("It is the trusted certificate, valid to {not_after}: {groups} ({subject})."),
    "certificate_new": Outcome(
        "No certificate is trusted yet. This one would be, at the first request: {groups} ({subject}, valid to "
        "{not_after}). Nothing was stored.",
        "Compare it with what your metering point operator tells you, if you can.",
    ),
    "certificate_expired": Outcome(
        "It is the trusted certificate, but it expired on {not_after}: {groups} ({subject}). The proxy goes on.",
        "Tell your metering point operator, who has to renew it. Then the certificate changes: trust the new one "
        "when it does.",
    ),
    "certificate_expires_soon": Outcome(
        "It is the trusted certificate, but it expires on {not_after}: {groups} ({subject}).",
        "Your metering point operator will renew it. Then the certificate changes: trust the new one when it does.",
    ),
    "certificate_not_yet_valid": Outcome(
        "It is the trusted certificate, but by this computer's clock it is not valid yet: {groups} ({subject}).",
        "Check date and time of this computer.",
    ),
    # HTTP
    "http_ok": Outcome("It asks for user name and password as a Smart Meter Gateway does. All is ready."),
    "http_certificate": Outcome("It lets the proxy in by its certificate. All is ready."),
    "http_forbidden": Outcome(
        "The gateway refuses the request (403), which was for the host {sent_host}. Gateways by EMH accept only "
        "their own name there.",
        'Set the option "host_header" to smgw.local or to the gateway\'s own address; without it the option '
        '"target" is used.',
    ),
    "http_smgw_local": Outcome(
        "The gateway refuses requests for the host {sent_host} (400) and takes those for smgw.local, as some "
        "gateways by EMH do.",
        'Set the option "host_header" to smgw.local. In Home Assistant, the button below does it.',
    ),
    "http_other_login": Outcome(
        "The device asks for a login, but not in the way of Smart Meter Gateways. Its certificate says: {subject}.",
        'This seems to be another device: check the address in the option "target".',
    ),
    "http_not_a_gateway": Outcome(
        "The device answers (status {status}) without asking for a login, so it is no Smart Meter Gateway. Its "
        "certificate says: {subject}.",
        'Check the address in the option "target": this seems to be another device, such as a router.',
    ),
    "http_error": Outcome(
        "The gateway answers with an error of its own (status {status}).",
        "Wait some minutes and try again. If it stays like this, ask your metering point operator.",
    ),
    "http_closed": Outcome(
        "The gateway took a request and closed the connection without an answer.",
        "Close other sessions with the gateway (browser, TRuDI, other integrations), wait some minutes and try "
        "again: after several wrong logins a gateway answers nobody for a while.",
    ),
    "http_silent": Outcome(
        "The gateway took a request and did not answer within {seconds} seconds.",
        "It is overloaded or at work on something long: wait for a quarter of an hour and try again. Let your "
        "programs ask less often.",
    ),
}
