"""What each error means and what to do about it, in English; parts in square brackets need their facts."""

from collections.abc import Mapping
from typing import Final

from smgw_proxy_addon.locales import Explanation

WHAT_TO_DO: Final = "What to do"
"""The heading above the remedy."""

WORDS: Final[Mapping[str, Explanation]] = {
    "internal_error": Explanation(
        "The proxy made a mistake",
        "Something happened in the proxy that it does not know how to handle.",
        "Try again. If it happens again, please report it together with the proxy's log.",
    ),
    "bad_request": Explanation(
        "The proxy does not understand this request",
        "The program that asked did not send a valid HTTP request. Nothing was sent to the gateway.",
        "Check the address entered in that program: the proxy's own address and port, http:// for the HTTP port and "
        "https:// for the HTTPS port.",
    ),
    "https_required": Explanation(
        "This port speaks HTTPS only",
        "The program that asked sent plain HTTP to the proxy's port for HTTPS. Nothing was sent to the gateway.",
        "Write https:// instead of http:// in the address[: https://{host}/].",
    ),
    "login_required": Explanation(
        "Please log in",
        "The proxy asks for user name and password itself, and they were missing, out of date or wrong. Nothing was "
        "sent to the gateway.",
        "Enter user name and password in the program that asks, letter for letter as they are in the option "
        '"accounts". Basic logins are not taken, only Digest.',
    ),
    "too_many_logins": Explanation(
        "Too many wrong logins",
        "A program at the same address logs in at the proxy again and again with a wrong password. That is why one "
        "login per second is checked, and so many were waiting that this one was not. Nothing went to the gateway.",
        "Correct user name and password in the program that has them wrong, or switch it off: the proxy's log names "
        "its address. Then wait ten seconds.",
    ),
    "login_held_back": Explanation(
        "This program has a wrong password",
        "The gateway refused several logins of this program in a row. So that it does not lock itself, the proxy "
        "holds further ones of the same user name from the same address back[, for {seconds} seconds from now]. "
        "Nothing was sent to the gateway.",
        "Correct user name and password in the program that asks: they are the HAN credentials of your metering "
        "point operator, not those of a customer portal. Then wait until it may ask again; one right login ends "
        'it. The option "hold_back_logins" (on the command line --no-hold-back-logins) switches this off.',
    ),
    "request_line_too_long": Explanation(
        "The address is too long",
        "The program that asked sent an address that is longer than any that a gateway understands. Nothing was sent "
        "to the gateway.",
        "Check the address entered in that program.",
    ),
    "headers_too_large": Explanation(
        "The request has too many headers",
        "The headers of the request take more room than the proxy gives them. Nothing was sent to the gateway.",
        "In a browser, delete the cookies for the proxy's address. Otherwise report it to the program's authors.",
    ),
    "body_too_large": Explanation(
        "The request is too large",
        "The request carries more data than the proxy lets through[: the limit is {limit} MB].",
        'If the gateway really needs that much, raise the option "max_body_mb" (on the command line --max-body-mb).',
    ),
    "foreign_network": Explanation(
        "This device may not use the proxy",
        "The request came from an address outside the networks that may use the proxy[: {peer}].",
        "Use the proxy from your home network only. Never make it reachable from the Internet. If the device is "
        'yours, add its address[, {peer},] or its network to the option "allow" (on the command line --allow).',
    ),
    "foreign_origin": Explanation(
        "Another website caused this request",
        "A page of another website made your browser send this request. The proxy refused it to protect your meter "
        "data.",
        "Type the proxy's address into the browser's address bar yourself.",
    ),
    "method_not_allowed": Explanation(
        "This is no proxy for other addresses",
        "The program that asked uses smgw-proxy as a general web proxy, but it leads to your gateway only.",
        "Remove smgw-proxy from that program's proxy settings, and enter its address where the gateway's address is "
        "expected.",
    ),
    "client_stalled": Explanation(
        "The request stopped half-way",
        "The program that asked did not finish its request[ within {seconds} seconds], so its place was given to "
        "others.",
        "Try again. If it happens again, check the network between that program and the proxy.",
    ),
    "client_gone": Explanation(
        "The program that asked went away",
        "The program that asked ended the connection before the gateway had answered.",
        "If it happens often, give that program more time: some gateways need 15 seconds for an answer.",
    ),
    "expectation_failed": Explanation(
        "The program asks for something unknown",
        "The request has an Expect header that neither the proxy nor a gateway knows.",
        "Switch this feature off in the program that asked, or report it to its authors.",
    ),
    "misdirected_request": Explanation(
        "The proxy does not know itself by this name",
        "The request is for another name[ ({host})]. The proxy refuses names that it does not know, because "
        "websites could use them to reach your gateway through your browser.",
        "Use the proxy's IP address or the name of its computer. If the name[ {host}] is really yours, add it to the "
        'option "allowed_hosts" (on the command line --allowed-host).',
    ),
    "queue_full": Explanation(
        "Too many requests at once",
        "A gateway can answer very few requests at a time, and too many are waiting already.",
        "Try again in a few seconds. If it happens often, let your programs ask less often: new readings appear "
        "only every 15 minutes.",
    ),
    "queue_timeout": Explanation(
        "The gateway was busy for too long",
        "The request waited[ {seconds} seconds] for its turn, but the gateway was still working on others.",
        "Try again in a few seconds. If it happens often, let your programs ask less often: new readings appear "
        "only every 15 minutes.",
    ),
    "too_many_connections": Explanation(
        "Too many connections at once",
        "The programs in your network keep more connections to the proxy busy than it takes.",
        "Try again in a few seconds. If it happens again, look which device asks so much: the proxy's page and its "
        "log name the clients.",
    ),
    "out_of_descriptors": Explanation(
        "The proxy cannot open any more connections or files",
        "The proxy, or the computer that it runs on, has as many connections and files open as the system allows. "
        "Nothing was sent to the gateway.",
        "Try again in a few seconds. If it happens again, look which device keeps so many connections open: the "
        "proxy's page and its log name the clients. Or raise the limit of open files (ulimit -n, for a container "
        "--ulimit nofile).",
    ),
    "session_busy": Explanation(
        "Somebody else is logged in at the gateway",
        "This gateway allows one session at a time, and another client did not end its own[ within {seconds} "
        "seconds].",
        "Try again in half a minute. If the gateway's page is open in a browser, log out there. If it happens often, "
        "let your programs ask at different times.",
    ),
    "shutting_down": Explanation(
        "The proxy is stopping",
        "The proxy is being stopped or restarted and takes no new requests.",
        "Try again in half a minute.",
    ),
    "gateway_error": Explanation(
        "Something is wrong with the gateway",
        "The gateway[ at {target}] or the connection to it failed in a way that the proxy does not know.",
        "Try again in a minute. If it happens again, look into the proxy's log.",
    ),
    "gateway_unreachable": Explanation(
        "The gateway cannot be reached",
        "There is no way from this computer to the gateway[ at {target}]. A gateway answers only devices that have "
        "an address in its own network.",
        "Check the cable to the gateway's HAN port, and that this computer has an address in the gateway's network "
        "(for 10.11.120.2 for example 10.11.120.10): in Home Assistant, the app SMGW Network sees to that. Check the "
        'option "target".',
    ),
    "gateway_name_unknown": Explanation(
        "Nobody knows the gateway's name",
        "The name of the gateway[, {target},] has no address in your network.",
        'Check the spelling in the option "target", or better enter the gateway\'s IP address there, from the letter '
        "of your metering point operator. Names such as smgw.local work only inside the gateway's own network.",
    ),
    "gateway_refused": Explanation(
        "The gateway refuses the connection",
        "A device answers at the gateway's address[ ({target})], but it accepts no connection.",
        "Check that the address and the port are the gateway's and not another device's. Some gateways refuse "
        "everybody for some minutes after a restart.",
    ),
    "gateway_connect_timeout": Explanation(
        "The gateway does not answer",
        "The connection to the gateway[ at {target}] did not come about[ within {seconds} seconds].",
        "Check the cable, and that this computer has an address in the gateway's own network: in Home Assistant, the "
        "app SMGW Network sees to that. A gateway that was asked too often may block its HAN port: then wait, and "
        "ask your metering point operator if it stays like this.",
    ),
    "gateway_tls_failed": Explanation(
        "No secure connection to the gateway",
        "The device at the gateway's address[ ({target})] and the proxy could not agree on an encrypted connection.",
        'Check that address and port are those of the gateway, and that the option "tls" is "auto". The proxy\'s log '
        "tells the technical reason.",
    ),
    "gateway_wants_certificate": Explanation(
        "The gateway wants a certificate as login",
        "The gateway[ at {target}] ended the handshake because it got no certificate of the proxy, or not one that "
        "it takes.",
        "Ask your metering point operator for a certificate with its key, and enter both in the options "
        '"client_certfile" and "client_keyfile". If you have, check that they are the ones for this gateway and not '
        "expired. Many gateways also take a user name and password, once the operator sets them up.",
    ),
    "target_is_proxy": Explanation(
        "The proxy is asked to ask itself",
        "What answers at the gateway's address[ ({target})] is this proxy. Nothing was sent to it, and its "
        "certificate was not stored.",
        'Enter the address of the gateway in the option "target": it is in the letter of your metering point '
        "operator. The proxy's own address belongs into the programs that ask.",
    ),
    "certificate_changed": Explanation(
        "The gateway shows another certificate than before",
        "The device[ at {target}] identifies itself by a new certificate. Either the gateway or its certificate was "
        "replaced, or another device pretends to be your gateway. Nothing was sent to it, not even a password."
        "[\nTrusted so far: {pinned_groups}]"
        "[\n(valid from {pinned_not_before} to {pinned_not_after})]"
        "[\nShown now: {presented_groups}]"
        "[\n({presented_subject})]"
        "[\n(valid from {presented_not_before} to {presented_not_after})]",
        "If your metering point operator replaced or updated the gateway, or confirms the new certificate, trust "
        "it.\n"
        "In the Home Assistant app: Open Web UI → Certificate → Trust the new certificate…\n"
        "On the command line, with the same --cert-dir as the proxy: smgw-proxy trust accept[ --target {target}]"
        "[ --fingerprint {presented}]\n"
        "If not, do not trust it: check what is connected, and ask your metering point operator.",
    ),
    "certificate_not_allowed": Explanation(
        "The gateway does not show the certificate that you entered",
        "The device[ at {target}] identifies itself by another certificate than the configured one. Nothing was "
        "sent to it, not even a password."
        "[\nConfigured: {pinned_groups}]"
        "[\nShown: {presented_groups}]"
        "[\n({presented_subject})]"
        "[\n(valid from {presented_not_before} to {presented_not_after})]",
        "Compare both with what your metering point operator tells you. If the new one is right, enter it in the "
        'option "certificate_fingerprint" (on the command line --fingerprint), or leave this option empty.',
    ),
    "pin_unreadable": Explanation(
        "The stored certificate cannot be read",
        "The file with the gateway's trusted certificate[ ({file})] is damaged or must not be read[: {problem}]. To "
        "be safe, the proxy sends nothing to the gateway.",
        "Restore the file from a backup, or have the proxy forget the certificate; then the next one that the "
        "gateway shows will be trusted.\n"
        "In the Home Assistant app: Open Web UI → Certificate → Forget…\n"
        "On the command line, with the same --cert-dir and --target as the proxy: smgw-proxy trust forget"
        "[ --target {target}]",
    ),
    "pin_not_written": Explanation(
        "The gateway's certificate cannot be stored",
        "The proxy could not write the gateway's certificate into its folder[ {folder}][: {problem}]. To be "
        "safe, it sends nothing to the gateway.",
        "Check that the disk is not full and that the proxy may write into this folder.",
    ),
    "gateway_connection_lost": Explanation(
        "The connection to the gateway broke",
        "The gateway[ at {target}] ended the connection before it answered. The proxy does not send the request "
        "again, because it could have been carried out already.",
        "Try again.",
    ),
    "gateway_closed_without_answer": Explanation(
        "Probably wrong user name or password",
        "The gateway[ at {target}] ended the connection without an answer to the login. This is how gateways by "
        "Theben say that user name or password is wrong.",
        "Check user name and password: they are the HAN credentials of your metering point operator, not those of a "
        "customer portal. A full stop at the end of a text message is not part of the password. After several wrong "
        "logins the gateway refuses every login for some minutes: then wait.",
    ),
    "gateway_login_refused": Explanation(
        "The gateway refuses the user name or password",
        "The gateway[ at {target}] did not take the login that is entered in the proxy's options. After the second "
        "refusal in a row the proxy stops, so that the gateway does not lock itself.",
        'Check the option "accounts": it needs the HAN credentials of your metering point operator, not those of a '
        "customer portal. A full stop at the end of a text message is not part of the password. If they are right, "
        'set the option "digest_algorithm" to auto, or to md5 for a gateway by Theben.',
    ),
    "gateway_login_paused": Explanation(
        "The proxy waits before its next login",
        "The gateway[ at {target}] ended the connection without an answer to the proxy's login. Gateways by Theben "
        "say so that user name or password is wrong, but it may also be a fault that passes, such as a restart.",
        "Wait[: the next login may be sent in {seconds} seconds]. If the password was changed, enter the new one in "
        'the option "accounts" and restart the proxy.',
    ),
    "gateway_login_stopped": Explanation(
        "The proxy has stopped logging in",
        "The gateway[ at {target}] refused user name or password twice in a row. Since then the proxy sends nothing "
        "with this account, because gateways lock themselves after several wrong logins.",
        'Correct the option "accounts" and restart the proxy. If it was right all the time, wait some minutes, then '
        "press Try again on the proxy's status page. A proxy without that page: stop it, remove the file that ends "
        'in "logins" from the folder of its certificates, and start it. The HAN credentials come from your metering '
        "point operator; a full stop at the end of a text message is not part of the password.",
    ),
    "login_expired": Explanation(
        "The gateway wants a new login",
        "The gateway[ at {target}] asked for the login again, and this request was too large to be sent twice.",
        "Try again: the proxy knows now what the gateway wants.",
    ),
    "gateway_bad_answer": Explanation(
        "The gateway's answer makes no sense",
        "What came from the gateway's address[ ({target})] is not a valid HTTP answer.",
        "Check that address and port are those of the gateway. If they are, restart the proxy, and report it with "
        "the proxy's log if it happens again.",
    ),
    "gateway_answer_truncated": Explanation(
        "The gateway's answer is incomplete",
        "The gateway[ at {target}] ended the connection in the middle of its answer.",
        "Try again. If it happens often, check the cable to the gateway.",
    ),
    "gateway_timeout": Explanation(
        "The gateway takes too long",
        "The gateway[ at {target}] took the request and did not answer[ within {seconds} seconds].",
        "Wait a minute and try again. If the gateway needs longer, for example for a long export, raise the option "
        '"read_timeout".',
    ),
}
