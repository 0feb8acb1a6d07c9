"""The gateway's own pages inside Home Assistant.

Home Assistant authenticates each request below its ingress by a cookie that browsers withhold from a frame that is
confined (``SameSite=Strict`` and an opaque origin). So the confined page asks for nothing itself: the status page
around it, which is trusted, makes the frame's requests, and what a page loads is put into it as ``data:`` URLs. The
browser gives the gateway's page no request, no cookie and no way to the page around it but messages.
"""
