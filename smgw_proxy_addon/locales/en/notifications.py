"""The notifications of Home Assistant in English; their messages may be Markdown."""

from collections.abc import Mapping
from typing import Final

from smgw_proxy_addon.locales import Notice

LINK: Final = "Open the page of the proxy"

WORDS: Final[Mapping[str, Notice]] = {
    "certificate_changed": Notice(
        "The Smart Meter Gateway shows another certificate",
        "The device at {target} identifies itself by a new certificate, so the proxy sends nothing to it. If your "
        "metering point operator replaced or updated the gateway, trust the new one on the proxy's page. If not, "
        "ask your operator first.\n"
        "\n"
        "Shown now: {fingerprint}",
    ),
    "certificate_expires": Notice(
        "The Smart Meter Gateway's certificate expires",
        "The certificate of the gateway at {target} is valid to {date}. The proxy goes on in any case, but your "
        "metering point operator has to renew it; then you will be asked whether to trust the new one.",
    ),
    "certificate_expired": Notice(
        "The Smart Meter Gateway's certificate has expired",
        "The certificate of the gateway at {target} expired on {date}. The proxy goes on all the same. Tell your "
        "metering point operator, who has to renew it; then you will be asked whether to trust the new one.",
    ),
    "gateway_unreachable": Notice(
        "The Smart Meter Gateway cannot be reached",
        "No request to the gateway at {target} has succeeded since {since}. The network diagnosis on the proxy's "
        "page tells the cause and what to do.",
    ),
    "login_stopped": Notice(
        "The Smart Meter Gateway refuses the login",
        "The gateway at {target} refused user name or password twice in a row (account {accounts}). The proxy sends "
        "nothing more with it, so that the gateway does not lock itself. Correct the app's option accounts, or have "
        "it tried again on the proxy's page.",
    ),
    "login_held_back": Notice(
        "Wrong password for the Smart Meter Gateway",
        "Wrong password in the program at {addresses}: the gateway at {target} refused its logins several times in a "
        "row. The proxy holds further ones back for a while, so that the gateway does not lock itself. Correct user "
        "name and password in that program.",
    ),
    "log_folder": Notice(
        "The proxy of the Smart Meter Gateway cannot write its log files",
        "The proxy works all the same. {failure}",
    ),
}
