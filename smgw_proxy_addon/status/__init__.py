"""What people are told: the doctor, the history of requests, Home Assistant's notifications, the status page."""
