#!/usr/bin/python3
"""The test cases by which a central system (CSMS) is certified for OCPP 2.0.1: Core
and Advanced Security, mandatory (M) and conditional (C) ones. Their numbers are those of
part 5 of the specification (2023-06).

Each case is one row of CASES: its subject, and how the gateway meets it:
    a test         "story.function" is a test that shows it; the gateway meets the case
                   alone. "commands" and "messages" are the two tests below, which run
                   the messages of the case with strict validation
    platform       the gateway cannot take a decision of the case (for example whether
                   a token is valid), or does not store the data; the test shows the
                   case with a platform that does. "tokens" is the test below that does
                   so for TOKENS
    unmet          the gateway does not meet the case, and why
If the case has an action of an operator ("request the station to ..."), the test uses
`ocppctl call`."""

import base64

import tls
from redis_fleet import EV, gateway, redis, tidy, wait_event
from lib import *
from ocpp2 import STATION, V201, WHEN, Station

TOKEN = {"idToken": "DEADBEEF", "type": "ISO14443"}
HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "n", "issuerKeyHash": "k",
        "serialNumber": "7"}
PEM = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"
PLATFORM = "platform: tokens"

CASES = {
    # A. Security.
    "A_01": ("M the password is right", "certification.test_the_name_and_the_password_of_a_station"),
    "A_02": ("M the user name is not the identity",
             "certification.test_the_name_and_the_password_of_a_station"),
    "A_03": ("M the password is wrong",
             "certification.test_the_name_and_the_password_of_a_station"),
    "A_04": ("M TLS with a valid server certificate",
             "tls.test_a_charge_point_connects_with_tls_1_2_and_1_3"),
    "A_06": ("M a TLS version below 1.2 is refused", "tls.test_each_failure_has_its_reason"),
    "A_07": ("M a valid client certificate", "tls.test_the_name_in_a_client_certificate_must_be_the_identity"),
    "A_08": ("M an invalid client certificate",
             "tls.test_each_invalid_client_certificate_is_refused_with_its_reason"),
    "A_09": ("M a new password is accepted",
             "ocpp2.test_a_password_that_is_set_by_a_variable_is_a_new_key"),
    "A_10": ("M a new password is refused: the old one holds",
             "ocpp2.test_a_password_that_is_set_by_a_variable_is_a_new_key"),
    "A_11": ("M the station's certificate is renewed",
             "platform: certification.test_the_certificate_of_a_station_is_renewed"),
    "A_14": ("M the certificate for the station is invalid",
             "platform: certification.test_the_commands_of_the_cases"),
    "A_19": ("M a station that has come with a higher profile is refused with a lower one",
             "tls.test_a_lower_profile_than_before_may_be_refused"),
    # B. Provisioning.
    "B_01": ("M cold boot, accepted", "ocpp2.test_every_message_is_answered_and_makes_its_event"),
    "B_02": ("C cold boot, pending",
             "ocpp2.test_a_pending_charge_point_may_send_only_requested_messages"),
    "B_30": ("C pending or rejected: SecurityError for all else",
             "ocpp2.test_before_the_boot_is_accepted_only_requested_messages_are_answered"),
    "B_31": ("C pending: TriggerMessage of a BootNotification",
             "ocpp2.test_a_pending_charge_point_may_send_only_requested_messages"),
    "B_06": ("M GetVariables, one", "commands"), "B_07": ("C GetVariables, several", "commands"),
    "B_09": ("M SetVariables, one", "commands"), "B_10": ("C SetVariables, several", "commands"),
    "B_12": ("C configuration inventory", "commands"), "B_13": ("C full inventory", "commands"),
    "B_20": ("M Reset OnIdle without a transaction", "commands"),
    "B_21": ("M Reset OnIdle with a transaction", "commands"),
    "B_22": ("M Reset Immediate with a transaction", "commands"),
    "B_25": ("C Reset of an EVSE without a transaction", "commands"),
    "B_26": ("C Reset of an EVSE OnIdle", "commands"),
    "B_27": ("C Reset of an EVSE, Immediate", "commands"),
    "B_42": ("M a network profile is accepted", "commands"),
    "B_44": ("M a network profile fails", "commands"),
    # C. Authorization.
    "C_02": ("M a local start with an invalid or unknown token", PLATFORM),
    "C_06": ("M ... with a blocked token", PLATFORM),
    "C_07": ("M ... with an expired token", PLATFORM),
    "C_08": ("M a start by the station's cache is confirmed", "messages"),
    "C_20": ("M a start by the station's cache turns out to be invalid", PLATFORM),
    "C_37": ("M the cache is cleared", "commands"), "C_38": ("M ... and that is refused", "commands"),
    "C_39": ("M another token of the same group ends the transaction", PLATFORM),
    "C_47": ("M a master pass ends all transactions", PLATFORM),
    "C_48": ("M a master pass ends one transaction", PLATFORM),
    "C_49": ("M a master pass without a screen", PLATFORM),
    # E. Transactions: what starts, changes and ends one.
    "E_01": ("M starts when the power path closes", "messages"),
    "E_02": ("M starts when energy flows", "messages"),
    "E_03": ("M local start, cable first", "messages"),
    "E_04": ("M local start, authorization first", "messages"),
    "E_07": ("M the power path opens by a local stop", "messages"),
    "E_08": ("M energy stops by StopAuthorized", "messages"),
    "E_09": ("M starts when the EV is connected", "messages"),
    "E_10": ("M starts when authorized locally", "messages"),
    "E_11": ("M starts with signed data", "messages"),
    "E_12": ("M starts when the bay is occupied", "messages"),
    "E_14": ("M the cable is unplugged at the station", "messages"),
    "E_15": ("M a local stop by token", "messages"),
    "E_16": ("M the token is deauthorized", PLATFORM),
    "E_17": ("M deauthorized: the EV is disconnected", "messages"),
    "E_19": ("M the bay is left", "messages"),
    "E_20": ("M the cable is unplugged at the EV", "messages"),
    "E_21": ("M a remote stop", "commands"), "E_22": ("M energy stops by the EV", "messages"),
    "E_26": ("M unplugged, and suspended", "messages"),
    "E_29": ("C status of a transaction that continues, with a queue", "commands"),
    "E_30": ("C ... without a queue", "commands"),
    "E_31": ("C status of a transaction that ended, with a queue", "commands"),
    "E_33": ("C status of the queue alone: messages wait", "commands"),
    "E_34": ("C ... and none does", "commands"),
    "E_38": ("M the EV is not ready", "messages"), "E_39": ("M deauthorized by timeout", "messages"),
    "E_53": ("M seqNo begins with 0 again", "messages"),
    # F. Remote control.
    "F_01": ("M remote start, cable first", "commands"),
    "F_02": ("M remote start that is authorized", "commands"),
    "F_03": ("M remote start that is not authorized anew", "commands"),
    "F_04": ("M remote start, no cable in time", "commands"),
    "F_06": ("C the connector is unlocked", "commands"),
    "F_11": ("C trigger MeterValues of an EVSE", "commands"),
    "F_12": ("C trigger MeterValues of all", "commands"),
    "F_13": ("C trigger TransactionEvent of an EVSE", "commands"),
    "F_14": ("C trigger TransactionEvent of all", "commands"),
    "F_15": ("C trigger LogStatusNotification", "commands"),
    "F_18": ("C trigger FirmwareStatusNotification", "commands"),
    "F_20": ("M trigger Heartbeat", "commands"),
    "F_23": ("C trigger StatusNotification, available", "commands"),
    "F_24": ("C trigger StatusNotification, occupied", "commands"),
    "F_27": ("M a trigger that is not implemented", "commands"),
    # G. Availability.
    "G_03": ("M an EVSE becomes inoperative", "commands"),
    "G_04": ("M an EVSE becomes operative", "commands"),
    "G_05": ("M the station becomes inoperative", "commands"),
    "G_06": ("M the station becomes operative", "commands"),
    "G_07": ("M a connector becomes inoperative", "commands"),
    "G_08": ("M a connector becomes operative", "commands"),
    "G_11": ("M an EVSE, with a transaction", "commands"),
    "G_14": ("M the station, with a transaction", "commands"),
    "G_17": ("M a connector, with a transaction", "commands"),
    "G_20": ("M a lock fails", "messages"),
    # J. Meter values.
    "J_01": ("M clock-aligned, no transaction", "messages"),
    "J_02": ("M clock-aligned, in a transaction", "messages"),
    "J_03": ("M clock-aligned, at the end", "messages"),
    "J_04": ("M clock-aligned and signed", "messages"),
    "J_07": ("M sampled, at the start, EVSE known", "messages"),
    "J_08": ("M sampled, at the start, EVSE not known", "messages"),
    "J_09": ("M sampled, in between", "messages"), "J_10": ("M sampled, at the end", "messages"),
    "J_11": ("M sampled and signed", "messages"),
    # L. Firmware.
    "L_01": ("M installed", "commands"), "L_02": ("C installation scheduled", "commands"),
    "L_03": ("C download scheduled", "commands"), "L_04": ("M revoked certificate", "commands"),
    "L_05": ("M invalid certificate", "commands"), "L_06": ("M invalid signature", "commands"),
    "L_07": ("M download failed", "commands"),
    "L_08": ("M verification or installation failed", "commands"),
    "L_09": ("M installation failed", "commands"),
    "L_10": ("M accepted, the former one canceled", "commands"),
    "L_11": ("M the former one cannot be canceled", "commands"),
    "L_13": ("M transactions continue while it waits", "commands"),
    # M. Certificates.
    "M_01": ("M install a CSMS root", "commands"),
    "M_02": ("M install a manufacturer root", "commands"),
    "M_05": ("M the installation fails", "commands"),
    "M_13": ("M list manufacturer roots", "commands"),
    "M_18": ("M list all certificates", "commands"),
    "M_19": ("M none matches", "commands"), "M_20": ("M a certificate is deleted", "commands"),
    "M_21": ("M the deletion fails", "commands"),
    # N. Diagnostics.
    "N_25": ("M diagnostics log", "commands"), "N_34": ("M a log is refused", "commands"),
    "N_35": ("M security log", "commands"), "N_36": ("M a second log request", "commands"),
    "N_27": ("M customer information", "commands"), "N_28": ("M ... and there is none", "commands"),
    "N_29": ("M ... refused", "commands"), "N_30": ("M clear and report", "commands"),
    "N_31": ("M clear and report, there is none", "commands"),
    "N_32": ("M clear, no report", "commands"),
    "N_62": ("C clear by customerIdentifier", "commands"),
    # P. Data transfer.
    "P_02": ("M an unknown vendor is refused", "messages"),
    "P_03": ("M customData is taken", "messages"),
}


# --- commands: (action, request, response, what the station sends afterwards) ----

def variable(component, name, **more):
    return dict({"component": {"name": component}, "variable": {"name": name}}, **more)


def trigger(word, status="Accepted", **evse):
    return "TriggerMessage", dict({"requestedMessage": word}, **evse), {"status": status}


def tx(kind, seq, reason, offline=None, reset=None, **more):
    """Returns a TransactionEvent."""
    info = {"transactionId": "T", "chargingState": more.pop("state", "Charging")}
    if "stopped" in more:
        info["stoppedReason"] = more.pop("stopped")
    if "remote" in more:
        info["remoteStartId"] = more.pop("remote")
    return "TransactionEvent", dict({
        "eventType": kind, "timestamp": WHEN, "seqNo": seq, "triggerReason": reason,
        "transactionInfo": info}, **more)


def firmware(*words):
    return [("FirmwareStatusNotification", {"requestId": 1, "status": w}) for w in words]


FIRMWARE = {"requestId": 1, "firmware": {
    "location": "https://host/f", "retrieveDateTime": WHEN, "signature": "c2ln",
    "signingCertificate": PEM}}
PROFILE = {"configurationSlot": 1, "connectionData": {
    "messageTimeout": 30, "ocppVersion": "OCPP20", "ocppInterface": "Wired0",
    "ocppTransport": "JSON", "securityProfile": 2, "ocppCsmsUrl": "wss://csms/"}}
REPORT = ("NotifyReport", {"requestId": 1, "seqNo": 0, "generatedAt": WHEN, "reportData": [
    variable("EVSE", "Power", variableAttribute=[{"value": "7"}])]})
SET = variable("OCPPCommCtrlr", "OfflineThreshold", attributeValue="9")
SET_DONE = variable("OCPPCommCtrlr", "OfflineThreshold", attributeStatus="Accepted")
GET = variable("OCPPCommCtrlr", "OfflineThreshold")
GOT = variable("OCPPCommCtrlr", "OfflineThreshold", attributeStatus="Accepted", attributeValue="9")
STATUS = ("StatusNotification", {"timestamp": WHEN, "connectorStatus": "Available", "evseId": 1,
                                 "connectorId": 1})
OCCUPIED = (STATUS[0], dict(STATUS[1], connectorStatus="Occupied"))
START = {"remoteStartId": 5, "idToken": TOKEN, "evseId": 1}
METER = [{"timestamp": WHEN, "sampledValue": [{"value": 1.5, "context": "Sample.Clock"}]}]
LOG = {"logType": "DiagnosticsLog", "requestId": 1, "log": {"remoteLocation": "https://host/"}}
CUSTOMER = {"requestId": 1, "report": True, "clear": False, "idToken": TOKEN}
DATA = ("NotifyCustomerInformation", {"requestId": 1, "data": "x", "seqNo": 0,
                                      "generatedAt": WHEN})
OK = {"status": "Accepted"}


def availability(where, status="Inoperative", answer="Accepted", *then):
    return ("ChangeAvailability", dict({"operationalStatus": status}, **where),
            {"status": answer}, *then)


EVSE, CONNECTOR = {"evse": {"id": 1}}, {"evse": {"id": 1, "connectorId": 1}}

COMMANDS = {
    "A_14": [("CertificateSigned", {"certificateChain": PEM}, {"status": "Rejected"},
              ("SecurityEventNotification", {"type": "InvalidChargingStationCertificate",
                                             "timestamp": WHEN}))],
    "B_06": [("GetVariables", {"getVariableData": [GET]}, {"getVariableResult": [GOT]})],
    "B_07": [("GetVariables", {"getVariableData": [GET] * 2}, {"getVariableResult": [GOT] * 2})],
    "B_09": [("SetVariables", {"setVariableData": [SET]}, {"setVariableResult": [SET_DONE]})],
    "B_10": [("SetVariables", {"setVariableData": [SET] * 2},
              {"setVariableResult": [SET_DONE] * 2})],
    "B_12": [("GetBaseReport", {"requestId": 1, "reportBase": "ConfigurationInventory"}, OK,
              REPORT)],
    "B_13": [("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}, OK, REPORT)],
    "B_20": [("Reset", {"type": "OnIdle"}, OK)],
    "B_21": [("Reset", {"type": "OnIdle"}, {"status": "Scheduled"},
              tx("Ended", 1, "ResetCommand", stopped="ImmediateReset"))],
    "B_22": [("Reset", {"type": "Immediate"}, OK,
              tx("Ended", 1, "ResetCommand", stopped="ImmediateReset"))],
    "B_25": [("Reset", {"type": "OnIdle", "evseId": 1}, OK)],
    "B_26": [("Reset", {"type": "OnIdle", "evseId": 1}, {"status": "Scheduled"})],
    "B_27": [("Reset", {"type": "Immediate", "evseId": 1}, OK)],
    "B_42": [("SetNetworkProfile", PROFILE, OK)],
    "B_44": [("SetNetworkProfile", PROFILE, {"status": "Failed"})],
    "C_37": [("ClearCache", {}, OK)], "C_38": [("ClearCache", {}, {"status": "Rejected"})],
    "E_21": [("RequestStopTransaction", {"transactionId": "T"}, OK,
              tx("Ended", 1, "RemoteStop", stopped="Remote"))],
    "E_29": [("GetTransactionStatus", {"transactionId": "T"},
              {"ongoingIndicator": True, "messagesInQueue": True})],
    "E_30": [("GetTransactionStatus", {"transactionId": "T"},
              {"ongoingIndicator": True, "messagesInQueue": False})],
    "E_31": [("GetTransactionStatus", {"transactionId": "T"},
              {"ongoingIndicator": False, "messagesInQueue": True})],
    "E_33": [("GetTransactionStatus", {}, {"messagesInQueue": True})],
    "E_34": [("GetTransactionStatus", {}, {"messagesInQueue": False})],
    "F_01": [("RequestStartTransaction", START, {"status": "Accepted", "transactionId": "T"},
              tx("Updated", 1, "RemoteStart", remote=5))],
    "F_02": [("RequestStartTransaction", START, OK, ("Authorize", {"idToken": TOKEN}),
              tx("Started", 0, "RemoteStart", remote=5, idToken=TOKEN))],
    "F_03": [("RequestStartTransaction", START, OK,
              tx("Started", 0, "RemoteStart", remote=5, idToken=TOKEN))],
    "F_04": [("RequestStartTransaction", START, OK,
              tx("Started", 0, "RemoteStart", remote=5, idToken=TOKEN),
              tx("Ended", 1, "EVConnectTimeout", stopped="Timeout"))],
    "F_06": [("UnlockConnector", {"evseId": 1, "connectorId": 1}, {"status": "Unlocked"})],
    "F_11": [trigger("MeterValues", **EVSE) + (("MeterValues", {"evseId": 1,
                                                                "meterValue": METER}),)],
    "F_12": [trigger("MeterValues") + (("MeterValues", {"evseId": 1, "meterValue": METER}),)],
    "F_13": [trigger("TransactionEvent", **EVSE) + (tx("Updated", 1, "Trigger"),)],
    "F_14": [trigger("TransactionEvent") + (tx("Updated", 1, "Trigger"),)],
    "F_15": [trigger("LogStatusNotification") + (("LogStatusNotification", {"status": "Idle"}),)],
    "F_18": [trigger("FirmwareStatusNotification") + (
        ("FirmwareStatusNotification", {"status": "Idle"}),)],
    "F_20": [trigger("Heartbeat") + (("Heartbeat", {}),)],
    "F_23": [trigger("StatusNotification", **CONNECTOR) + (STATUS,)],
    "F_24": [trigger("StatusNotification", **CONNECTOR) + (OCCUPIED,)],
    "F_27": [trigger("SignCombinedCertificate", "NotImplemented")],
    "G_03": [availability(EVSE)], "G_04": [availability(EVSE, "Operative", "Accepted", STATUS)],
    "G_05": [availability({})], "G_06": [availability({}, "Operative", "Accepted", STATUS)],
    "G_07": [availability(CONNECTOR)],
    "G_08": [availability(CONNECTOR, "Operative", "Accepted", STATUS)],
    "G_11": [availability(EVSE, "Inoperative", "Scheduled")],
    "G_14": [availability({}, "Inoperative", "Scheduled")],
    "G_17": [availability(CONNECTOR, "Inoperative", "Scheduled")],
    "L_01": [("UpdateFirmware", FIRMWARE, OK, *firmware(
        "Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting",
        "Installed"))],
    "L_02": [("UpdateFirmware", FIRMWARE, OK, *firmware("Downloaded", "InstallScheduled"))],
    "L_03": [("UpdateFirmware", FIRMWARE, OK, *firmware("DownloadScheduled"))],
    "L_04": [("UpdateFirmware", FIRMWARE, {"status": "RevokedCertificate"})],
    "L_05": [("UpdateFirmware", FIRMWARE, {"status": "InvalidCertificate"})],
    "L_06": [("UpdateFirmware", FIRMWARE, OK, *firmware("Downloaded", "InvalidSignature"))],
    "L_07": [("UpdateFirmware", FIRMWARE, OK, *firmware("Downloading", "DownloadFailed"))],
    "L_08": [("UpdateFirmware", FIRMWARE, OK, *firmware("InstallVerificationFailed"))],
    "L_09": [("UpdateFirmware", FIRMWARE, OK, *firmware("InstallationFailed"))],
    "L_10": [("UpdateFirmware", FIRMWARE, {"status": "AcceptedCanceled"})],
    "L_11": [("UpdateFirmware", FIRMWARE, {"status": "Rejected"})],
    "L_13": [("UpdateFirmware", FIRMWARE, OK, *firmware("DownloadPaused"),
              tx("Updated", 1, "MeterValuePeriodic"))],
    "M_01": [("InstallCertificate", {"certificateType": "CSMSRootCertificate",
                                     "certificate": PEM}, OK)],
    "M_02": [("InstallCertificate", {"certificateType": "ManufacturerRootCertificate",
                                     "certificate": PEM}, OK)],
    "M_05": [("InstallCertificate", {"certificateType": "CSMSRootCertificate",
                                     "certificate": PEM}, {"status": "Failed"})],
    "M_13": [("GetInstalledCertificateIds", {"certificateType": ["ManufacturerRootCertificate"]},
              {"status": "Accepted", "certificateHashDataChain": [
                  {"certificateType": "ManufacturerRootCertificate",
                   "certificateHashData": HASH}]})],
    "M_18": [("GetInstalledCertificateIds", {}, {"status": "Accepted",
                                                 "certificateHashDataChain": [
                  {"certificateType": "CSMSRootCertificate", "certificateHashData": HASH}]})],
    "M_19": [("GetInstalledCertificateIds", {}, {"status": "NotFound"})],
    "M_20": [("DeleteCertificate", {"certificateHashData": HASH}, OK)],
    "M_21": [("DeleteCertificate", {"certificateHashData": HASH}, {"status": "Failed"})],
    "N_25": [("GetLog", LOG, {"status": "Accepted", "filename": "f"},
              ("LogStatusNotification", {"status": "Uploading", "requestId": 1}),
              ("LogStatusNotification", {"status": "Uploaded", "requestId": 1}))],
    "N_34": [("GetLog", LOG, {"status": "Rejected"})],
    "N_35": [("GetLog", dict(LOG, logType="SecurityLog"), {"status": "Accepted", "filename": "f"},
              ("LogStatusNotification", {"status": "Uploaded", "requestId": 1}))],
    "N_36": [("GetLog", LOG, OK), ("GetLog", dict(LOG, requestId=2),
              {"status": "AcceptedCanceled", "filename": "f"},
              ("LogStatusNotification", {"status": "AcceptedCanceled", "requestId": 1}))],
    "N_27": [("CustomerInformation", CUSTOMER, OK, DATA)],
    "N_28": [("CustomerInformation", CUSTOMER, OK, (DATA[0], dict(DATA[1], data="")))],
    "N_29": [("CustomerInformation", CUSTOMER, {"status": "Rejected"})],
    "N_30": [("CustomerInformation", dict(CUSTOMER, clear=True), OK, DATA)],
    "N_31": [("CustomerInformation", dict(CUSTOMER, clear=True), OK,
              (DATA[0], dict(DATA[1], data="")))],
    "N_32": [("CustomerInformation", dict(CUSTOMER, clear=True, report=False), OK, DATA)],
    "N_62": [("CustomerInformation", {"requestId": 1, "report": True, "clear": True,
                                      "customerIdentifier": "OpenChargeAlliance"}, OK, DATA)],
}

# --- messages of a station, each of which must be answered ---------------------------

PLUG = {"evse": {"id": 1, "connectorId": 1}}
SIGNED = [{"timestamp": WHEN, "sampledValue": [{"value": 1, "signedMeterValue": {
    "signedMeterData": "x", "signingMethod": "", "encodingMethod": "OCMF", "publicKey": "k"}}]}]
AUTHORIZE = ("Authorize", {"idToken": TOKEN})


def sampled(context, more=None):
    return {"meterValue": more or [{"timestamp": WHEN, "sampledValue": [
        {"value": 7, "context": context, "measurand": "Energy.Active.Import.Register"}]}]}


def ended(reason, stopped, seq=2, **more):
    return tx("Ended", seq, reason, stopped=stopped, state="Idle", **more)


def starts(reason, state="Charging"):
    """Returns the messages of a transaction that begins with this trigger reason, continues
    and ends."""
    return [AUTHORIZE, OCCUPIED, tx("Started", 0, reason, state=state, idToken=TOKEN, **PLUG),
            tx("Updated", 1, "ChargingStateChanged"), ended("StopAuthorized", "Local",
                                                            idToken=TOKEN), STATUS]


def stops(reason, stopped, *between):
    return [tx("Started", 0, "CablePluggedIn", state="EVConnected", **PLUG),
            tx("Updated", 1, "Authorized", idToken=TOKEN), *between,
            ended(reason, stopped, 2 + len(between))]


MESSAGES = {
    "C_08": starts("Authorized"), "E_01": starts("ChargingStateChanged"),
    "E_02": starts("ChargingStateChanged"), "E_03": starts("CablePluggedIn", "EVConnected"),
    "E_04": starts("Authorized", "EVConnected"), "E_09": starts("CablePluggedIn", "EVConnected"),
    "E_10": starts("Authorized", "EVConnected"), "E_11": [
        tx("Started", 0, "SignedDataReceived", idToken=TOKEN, meterValue=SIGNED)],
    "E_12": [tx("Started", 0, "EVDetected", state="EVConnected")],
    "E_07": stops("StopAuthorized", "Local"), "E_08": stops("StopAuthorized", "Local"),
    "E_14": stops("EVCommunicationLost", "EVDisconnected"), "E_15": stops("StopAuthorized", "Local"),
    "E_17": stops("EVCommunicationLost", "EVDisconnected", tx("Updated", 2, "Deauthorized")),
    "E_19": stops("EVDeparted", "Local"), "E_20": stops("EVCommunicationLost", "EVDisconnected"),
    "E_22": stops("ChargingStateChanged", "StoppedByEV",
                  tx("Updated", 2, "ChargingStateChanged", state="SuspendedEV")),
    "E_26": stops("StopAuthorized", "Local",
                  tx("Updated", 2, "EVCommunicationLost", state="Idle")),
    "E_38": [tx("Started", 0, "CablePluggedIn", state="EVConnected", **PLUG),
             tx("Updated", 1, "ChargingStateChanged", state="SuspendedEV")],
    "E_39": stops("EVConnectTimeout", "Timeout"), "E_53": [
        tx("Started", 0, "Authorized", idToken=TOKEN), ended("StopAuthorized", "Local", 1),
        ("TransactionEvent", dict(tx("Started", 0, "Authorized")[1],
                                  transactionInfo={"transactionId": "T2"}))],
    "G_20": [("NotifyEvent", {"generatedAt": WHEN, "seqNo": 0, "eventData": [variable(
        "ConnectorPlugRetentionLock", "Problem", eventId=1, timestamp=WHEN, trigger="Delta",
        actualValue="true", eventNotificationType="HardWiredNotification")]}),
             (STATUS[0], dict(STATUS[1], connectorStatus="Faulted"))],
    "J_01": [("MeterValues", {"evseId": 0, "meterValue": METER})],
    "J_02": [tx("Started", 0, "Authorized", idToken=TOKEN),
             tx("Updated", 1, "MeterValueClock", **sampled("Sample.Clock"))],
    "J_03": [tx("Started", 0, "Authorized", idToken=TOKEN),
             ended("StopAuthorized", "Local", 1, **sampled("Sample.Clock"))],
    "J_04": [("MeterValues", {"evseId": 1, "meterValue": SIGNED})],
    "J_07": [tx("Started", 0, "Authorized", **PLUG, **sampled("Transaction.Begin"))],
    "J_08": [tx("Started", 0, "Authorized", **sampled("Transaction.Begin"))],
    "J_09": [tx("Started", 0, "Authorized"),
             tx("Updated", 1, "MeterValuePeriodic", **sampled("Sample.Periodic"))],
    "J_10": [tx("Started", 0, "Authorized"),
             ended("StopAuthorized", "Local", 1, **sampled("Transaction.End"))],
    "J_11": [tx("Updated", 1, "MeterValuePeriodic", **sampled(None, SIGNED))],
    "P_02": [("DataTransfer", {"vendorId": "org.openchargealliance.unknown"})],
    "P_03": [("Heartbeat", {"customData": {"vendorId": "org.openchargealliance", "x": [1]}}),
             tx("Updated", 1, "Trigger", customData={"vendorId": "v"})],
}


# --- messages about tokens, and what the platform answers --------------------------

OTHER = {"idToken": "CAFE", "type": "ISO14443"}


def info(status, **more):
    return {"idTokenInfo": dict({"status": status}, **more)}


def local_start(status):
    """A token that is not valid starts no transaction."""
    return [(AUTHORIZE, info(status))]


def cached(status):
    """The station has authorized the token by its cache; the answer is that it is not valid."""
    return [(tx("Started", 0, "Authorized", idToken=TOKEN, **PLUG), info(status)),
            (tx("Updated", 1, "Deauthorized", state="SuspendedEVSE"), {}),
            (ended("Deauthorized", "DeAuthorized"), {})]


GROUP = {"groupIdToken": {"idToken": "G1", "type": "Central"}}
MASTER = {"groupIdToken": {"idToken": "MASTERPASS", "type": "Central"}}


def master(*transactions):
    return [(AUTHORIZE, info("Accepted", **MASTER))] + [
        ((one, dict(payload, idToken=TOKEN, transactionInfo=dict(
            payload["transactionInfo"], transactionId=t))), info("Accepted", **MASTER))
        for t in transactions
        for one, payload in [ended("StopAuthorized", "MasterPass")]]


TOKENS = {
    "C_02": local_start("Invalid") + local_start("Unknown"), "C_06": local_start("Blocked"),
    "C_07": local_start("Expired"), "C_20": cached("Invalid"), "E_16": cached("Invalid"),
    "C_39": [(AUTHORIZE, info("Accepted", **GROUP)),
             (tx("Started", 0, "Authorized", idToken=TOKEN, **PLUG), info("Accepted", **GROUP)),
             (("Authorize", {"idToken": OTHER}), info("Accepted", **GROUP)),
             (ended("StopAuthorized", "Local", idToken=OTHER), info("Accepted", **GROUP))],
    "C_47": master("T1", "T2"), "C_48": master("T1"), "C_49": master("T1", "T2"),
}


def station(g, case):
    c = Station(g, "TC-" + case, V201)
    c.call("BootNotification", {"chargingStation": STATION, "reason": "PowerUp"})
    return c


def say(c, action, payload):
    """The gateway answers the station's message as the specification requires."""
    got = c.call(action, payload)
    if "idToken" in payload:
        assert got["idTokenInfo"]["status"] == "Accepted", (action, got)
    elif action == "TransactionEvent":
        assert got == {}, got
    elif action == "DataTransfer":
        assert got == {"status": "UnknownVendorId"}, got
    elif action == "Heartbeat":
        assert list(got) == ["currentTime"], got
    else:
        assert got == {}, (action, got)


def test_the_commands_of_the_cases():
    g = shared(ocpp_validation="strict", ocpp_call_hold="0s")
    for case, steps in COMMANDS.items():
        c = station(g, case)
        said = []
        for action, request, response, *then in steps:
            r = background(g.call, c.identity, action, request)
            id, got, payload = c.take()
            assert (got, payload) == (action, request), (case, got, payload)
            c.result(id, response)
            out = r.wait()
            assert out["outcome"] == "result" and out["payload"] == response and \
                "violation" not in out and "deviations" not in out, (case, out)
            for one in then:
                say(c, *one)
            said += [a for a, _ in then]
        got = [e["action"] for e in g.wait_events(cp=c.identity) if e.get("answeredBy")][1:]
        assert got == [a for a in said if a != "Heartbeat"], (case, got, said)
        c.close()


def test_the_messages_of_the_cases():
    g = shared(ocpp_validation="strict")
    for case, messages in MESSAGES.items():
        c = station(g, case)
        for one in messages:
            say(c, *one)
        want = [a for a, _ in messages if a != "Heartbeat"]
        got = [e["action"] for e in g.wait_events(cp=c.identity) if e.get("answeredBy")][1:]
        assert got == want, (case, got, want)
        assert not g.events(cp=c.identity, type="protocol.violation"), case
        c.close()


@tidy
def test_the_platform_decides_whether_a_token_is_valid():
    """The platform's answer reaches the station unchanged, and the event has it."""
    server = redis()
    r = server.client()
    g = gateway(server, "a", server_workers=1, ocpp_validation="strict",
                answers_Authorize="platform", answers_TransactionEvent="platform")
    for case, steps in TOKENS.items():
        c = station(g, case)
        for n, ((action, payload), want) in enumerate(steps):
            c.put(action, payload, "m%d" % n)
            e = wait_event(r, c.identity, "answer.requested", n + 1)[n]
            assert (e["action"], json.loads(e["payload"])) == (action, payload), (case, e)
            assert r("FCALL", "ocppd_answer", 1, c.identity, e["replyToken"],
                     json.dumps(want)) == "taken", case
            assert c.get("m%d" % n) == want, case
        got = poll(lambda: [e for e in r.entries(EV) if e["chargePointId"] == c.identity and
                            e.get("answeredBy") == "platform"][len(steps) - 1:] and
                   [e for e in r.entries(EV) if e["chargePointId"] == c.identity and
                    e.get("answeredBy") == "platform"], what="the events of " + case)
        assert [(e["action"], json.loads(e["answer"])) for e in got] == \
            [(action, want) for (action, _), want in steps], (case, got)
        c.close()


def test_the_name_and_the_password_of_a_station():
    """A password of 2.x is text, and not hexadecimal digits as in 1.6."""
    g = Gateway(auth_mode="file")
    for name, password in (("TC-A", "a password of 2.0.1: \u00fc 100 %"),
                           ("TC-B", "another password of 2.0.1")):
        code, body = g.ask("auth", "add", name, password)
        assert code == 200, body

    def attempt(identity, user, password):
        c = Charger(g, identity, open=False)
        token = base64.b64encode(("%s:%s" % (user, password)).encode()).decode()
        r = c.handshake(protocols=V201, headers=[("Authorization", "Basic " + token)])
        if r.status == 101:
            assert c.call("BootNotification", {"chargingStation": STATION, "reason": "PowerUp"}
                          )["status"] == "Accepted"
            c.close()
        return r.status
    good, other = "a password of 2.0.1: \u00fc 100 %", "another password of 2.0.1"
    poll(lambda: attempt("TC-B", "TC-B", other) == 101)
    assert attempt("TC-A", "TC-A", good) == 101             # A_01
    assert attempt("TC-A", "TC-B", other) == 401            # A_02
    assert attempt("TC-A", "TC-B", good) == 401
    assert attempt("TC-A", "TC-A", other) == 401            # A_03
    assert attempt("TC-A", "TC-A", good[:-1]) == 401


def test_the_certificate_of_a_station_is_renewed():
    """The signing request is an event, and the chain is sent by a command. The station
    connects again with its new certificate, and cannot connect with that of another station."""
    a = tls.authority()
    a.make("renewing", "/O=ACME Ltd/CN=TC-A_11")
    g = tls.mutual(answers_SignCertificate="accept", ocpp_validation="strict")

    def connect(name):
        c = tls.TlsCharger(g, "TC-A_11", tls.client(certificate=a.path(name)), open=False)
        status = c.handshake(protocols=V201).status
        if status == 101:
            c.call("BootNotification", {"chargingStation": STATION, "reason": "PowerUp"})
        return c, status
    c, status = connect("renewing")
    assert status == 101
    out = background(g.call, "TC-A_11", *trigger("SignChargingStationCertificate")[:2])
    c.result(c.take()[0], OK)
    assert out.wait()["outcome"] == "result"
    csr = "-----BEGIN CERTIFICATE REQUEST-----\nMII=\n-----END CERTIFICATE REQUEST-----\n"
    assert c.call("SignCertificate", {
        "csr": csr, "certificateType": "ChargingStationCertificate"}) == OK
    [e] = g.wait_events(1, action="SignCertificate")
    assert e["payload"]["csr"] == csr and e["answer"] == OK, e
    a.make("renewed", "/O=ACME Ltd/CN=TC-A_11")
    with open(a.path("renewed")[0]) as f:
        chain = f.read()
    out = background(g.call, "TC-A_11", "CertificateSigned", {
        "certificateChain": chain, "certificateType": "ChargingStationCertificate"})
    id, action, payload = c.take()
    assert (action, payload["certificateChain"]) == ("CertificateSigned", chain)
    c.result(id, OK)
    assert out.wait()["outcome"] == "result"
    c.close()
    assert connect("renewed")[1] == 101
    assert connect("cp1")[1] == 403


def test_each_case_is_met_or_names_what_is_missing():
    # These are the mandatory cases of a CSMS in part 5 of the specification, and the
    # conditional ones that depend on the features that it supports.
    wanted = {"A": "1-4 6-11 14 19", "B": "1 2 6 7 9 10 12 13 20-22 25-27 30 31 42 44",
              "C": "2 6-8 20 37-39 47-49",
              "E": "1-4 7-12 14-17 19-22 26 29-31 33 34 38 39 53",
              "F": "1-4 6 11-15 18 20 23 24 27", "G": "3-8 11 14 17 20",
              "J": "1-4 7-11", "L": "1-11 13", "M": "1 2 5 13 18-21",
              "N": "25 27-32 34-36 62", "P": "2 3"}
    names = set()
    for letter, text in wanted.items():
        for part in text.split():
            first, _, last = part.partition("-")
            names |= {"%s_%02d" % (letter, n) for n in range(int(first), int(last or first) + 1)}
    assert names == set(CASES), names ^ set(CASES)
    here = {"commands": COMMANDS, "messages": MESSAGES, PLATFORM: TOKENS}
    for cases in here.values():
        assert not cases.keys() - CASES.keys(), cases.keys() - CASES.keys()
    for case, (what, how) in CASES.items():
        assert what[:2] in ("M ", "C ") and len(what) > 8, case
        if how in here:
            assert case in here[how], case
            continue
        if how.startswith("unmet: "):
            continue
        story, _, function = how.replace("platform: ", "").partition(".")
        with open(os.path.join(ROOT, "test", story + ".py")) as f:
            assert "\ndef %s(" % function in f.read(), (case, how)


if __name__ == "__main__":
    main()
