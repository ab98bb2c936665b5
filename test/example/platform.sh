#!/bin/sh
# The smallest charging platform, which uses only curl: it starts a charging
# session through the HTTP API of ocppd, stops it when enough energy was charged,
# and bills it.
#
#     platform.sh URL TOKEN CHARGEPOINT TAG WH
set -eu
url=$1 token=$2 cp=$3 tag=$4 wanted=$5
cents_per_kwh=35

api() { # curl's arguments
    curl -sS -f -H "Authorization: Bearer $token" "$@"
}

# Prints the last member of that name in one line of JSON, or "" if there is none.
member() {
    sed -n "s/.*[{,]\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p"
}

# Sends a command, waits, and prints its commandId. Fails unless the command is
# accepted.
call() { # action payload
    outcome=$(api -d "$2" "$url/v1/charge-points/$cp/calls/$1")
    case $outcome in
    *'"outcome":"result"'*'"Accepted"'*) echo "$outcome" | member commandId ;;
    *) echo "$1: $outcome" >&2; return 1 ;;
    esac
}

# Prints the transaction of the next event that contains a text, and moves the
# cursor past this event. It polls, because a stream (follow=1) would need more
# than a POSIX shell.
next() { # text
    while :; do
        event=$(api "$url/v1/events?cp=$cp&after=$cursor" |
            grep -F "\"tx\":{" | grep -F -m 1 "$1") && break
        sleep 1
    done
    cursor=${event#*\"eventId\":\"} cursor=${cursor%%-*}
    tx=${event##*\"tx\":}
    wh=$(echo "$tx" | member meterWh)
}

cursor=$(api "$url/v1/events/cursor" | member cursor)
command=$(call RemoteStartTransaction "{\"idTag\":\"$tag\"}")
next "\"commandId\":\"$command\""
session=$(echo "$tx" | member id)
first=$wh
until [ $((${wh%.*} - ${first%.*})) -ge "$wanted" ]; do
    next "\"tx\":{\"id\":\"$session\""
done
call RemoteStopTransaction "{\"transactionId\":$session}" >/dev/null
until [ -z "${event##*transaction.stopped*}" ]; do
    next "\"tx\":{\"id\":\"$session\""
done
wh=$((${wh%.*} - ${first%.*}))
cents=$((wh * cents_per_kwh / 1000))
printf '%s, session %s: %d Wh, %d.%02d EUR\n' "$cp" "$session" "$wh" $((cents / 100)) $((cents % 100))
