"""English."""

from typing import Final

TEXTS: Final = {
    "title": "SMGW Network",
    "skip": "Skip to the content",
    "language": "Language",
    "de": "Deutsch",
    "en": "English",
    "stale": "The app does not answer: what you see may be old.",
    "error.form": "This page was old. Nothing was done; please try again.",
    # The verdict
    "verdict.reached": "Everything is set up",
    "verdict.reached.text": "Apps and Home Assistant reach the gateway. Open SMGW Proxy and press “Use it”, if"
    " you have"
    " not done so yet.",
    "verdict.trouble": "A gateway needs your attention",
    "verdict.trouble.text": "See below what is wrong.",
    "verdict.searching": "Looking for a gateway",
    "verdict.searching.text": "This takes up to 90 seconds. The page is up to date by itself.",
    "badge.good": "Works",
    "badge.warn": "Look here",
    "badge.bad": "Does not work",
    "badge.idle": "Searching",
    # What is wrong as a whole, and the remedy
    "trouble.no_carrier": "No network interface has a cable in it.",
    "remedy.no_carrier": "Connect this device with the gateway's HAN port, or with the switch that it is"
    " plugged into.",
    "trouble.no_interface": "The interface that is set in the options does not exist.",
    "remedy.no_interface": "Correct the option “Network interface” in the tab Configuration, or leave it empty.",
    "trouble.no_permission": "The system does not let this app change addresses.",
    "remedy.no_permission": "Reinstall the app, so that it gets the permissions that it asks for.",
    "trouble.nothing_answers": "No gateway has answered so far.",
    "remedy.nothing_answers": "Check the cable to the HAN port, and ask your metering point operator whether"
    " the port is"
    " enabled and which address it has. You can enter that address as “Address of the gateway”. The known"
    " addresses are asked"
    " for again every minute.",
    "trouble.address_taken": "Every address beside the gateway that was tried is taken.",
    "remedy.address_taken": "Choose a free address of the gateway's subnet as “Address of this device”."
    " Otherwise it is tried"
    " again every minute.",
    # What is wrong with one gateway
    "gateway.no_carrier": "The cable is out, or the interface is gone. It goes on by itself once it is back.",
    "gateway.nothing_answers": "The gateway does not answer any more. Check its cable and its power supply.",
    "gateway.address_taken": "Every address beside it that was tried is taken; it is tried again every minute.",
    "gateway.waiting": "The interface has no address of its own yet. The one for the gateway follows it.",
    "gateway.at_home": "A device in your home network has the same address and would be cut off, so nothing was done."
    " If you want this gateway all the same, enter its address as “Address of the gateway”.",
    "gateway.same_address": "Another device has the same address. Only one of the two can be served.",
    "gateway.not_a_gateway": "A device answers at this address, but it does not show a gateway's certificate.",
    "gateway.no_bridge": "The relay cannot be opened: the Supervisor's network is missing.",
    "gateway.no_permission": "The system does not let this app change addresses.",
    "gateway.no_interface": "The interface does not exist.",
    # One gateway
    "gateway.title": "Gateway",
    "gateway.by": "{maker} gateway",
    "gateway.address": "Address",
    "gateway.interface": "Interface",
    "gateway.name": "Name in the certificate",
    "gateway.fingerprint": "Fingerprint (SHA-256)",
    "gateway.certificate.none": "not seen yet",
    "gateway.local": "Address of this device for it",
    "gateway.since": "Since",
    "gateway.target": "What SMGW Proxy needs as target",
    "way": "How it is reached",
    "way.direct": "By your home network. Nothing needs to be set up.",
    "way.peer": "By an address that this device has for the gateway alone.",
    "way.relay": "By a relay on this device, for apps only. The connection stays encrypted from end to end.",
    "way.none": "Not at all.",
    "steps": "What was done last",
    "step.found": "Found",
    "step.added": "Address added",
    "step.lost": "Address was taken away by the system",
    "step.put_back": "Address put back",
    "step.conflict": "Another device uses the address, too",
    "step.removed": "Address removed",
    # The search
    "search.title": "Search",
    "search.active": "The search is running.",
    "search.idle": "The search has ended.",
    "search.off": "The gateway's address is set in the options: nothing else is asked for.",
    "search.sent": "Packets sent on {interface}: {count}",
    "search.again": "Search again",
}
