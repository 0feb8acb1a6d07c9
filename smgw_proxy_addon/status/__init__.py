"""The state of the proxy for people: doctor, history of requests, Home Assistant's notifications, status page."""
