#!/usr/bin/python3
"""The smallest charging platform: it starts a charging session through the HTTP API of
ocppd, stops it when enough energy was charged, and bills it.

    platform.py URL TOKEN CHARGEPOINT TAG WH"""

import json
import sys
import urllib.parse
import urllib.request

CENTS_PER_KWH = 35
url, token, cp, tag, wanted = sys.argv[1:]


def request(path, body=None):
    r = urllib.request.Request(url + path, body and json.dumps(body).encode(),
                               {"Authorization": "Bearer " + token})
    return urllib.request.urlopen(r)


def call(action, payload):
    """Sends a command and waits; ends the program unless the command is accepted."""
    path = "/v1/charge-points/%s/calls/" % urllib.parse.quote(cp, safe="")
    outcome = json.load(request(path + action, payload))
    if outcome.get("payload", {}).get("status") != "Accepted":
        sys.exit("%s: %s" % (action, json.dumps(outcome)))
    return outcome["commandId"]


# The stream is opened before the command is sent, so no event is missed. A platform that
# is restarted passes the last eventId that it has processed in `after`.
stream = request("/v1/events?follow=1&after=now&cp=" + urllib.parse.quote(cp))
command = call("RemoteStartTransaction", {"idTag": tag})
session = None
for line in stream:
    event = json.loads(line) if line.strip() else {}    # the stream sends blank lines when idle
    tx = event.get("tx", {})
    if tx.get("commandId") == command and session is None:
        session, first, stopping = tx["id"], tx["meterWh"], False
    elif session is None or tx.get("id") != session:
        continue
    elif event["eventType"] == "transaction.stopped":
        wh = tx["meterWh"] - first
        print("%s, session %s: %d Wh, %.2f EUR"
              % (cp, session, wh, wh * CENTS_PER_KWH / 100000))
        break
    elif tx.get("meterWh", first) - first >= float(wanted) and not stopping:
        stopping = call("RemoteStopTransaction", {"transactionId": int(session)})
