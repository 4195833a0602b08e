"""Signs messages by the library of Standard Webhooks, as a sender does: URL SECRET."""

import datetime
import json
import sys
import urllib.error
import urllib.request

from standardwebhooks import Webhook

url, secret = sys.argv[1], sys.argv[2]
hook = Webhook(secret)


def send(body, name, at, signature):
    request = urllib.request.Request(url, data=body.encode(), method="POST")
    request.add_header("content-type", "application/json")
    request.add_header("webhook-id", name)
    request.add_header("webhook-timestamp", str(int(at.timestamp())))
    request.add_header("webhook-signature", signature)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


now = datetime.datetime.now(tz=datetime.timezone.utc)
body = json.dumps(
    {
        "type": "load.high",
        "timestamp": now.isoformat(),
        "data": {"alert": "QueueHigh", "status": "firing"},
    }
)
good = hook.sign("msg_1", now, body)
other = Webhook("C2FVsBQIhrscChlQIMV+b5sSYspob7oD").sign("msg_1", now, body)
old = now - datetime.timedelta(minutes=6)

refused = {
    "an altered body": (body.replace("High", "Low"), "msg_1", now, good),
    "another id": (body, "msg_2", now, good),
    "another time": (body, "msg_1", now + datetime.timedelta(seconds=1), good),
    "another secret": (body, "msg_1", now, other),
    "an old message": (body, "msg_1", old, hook.sign("msg_1", old, body)),
    "no signature": (body, "msg_1", now, ""),
}
for what, message in refused.items():
    status = send(*message)
    assert status == 401, f"{what}: {status}"
assert send(body, "msg_1", now, f"v1,bm9uZQ== {good}") == 202
assert send(body, "msg_1", now, good) == 202, "a repetition"
print(f"Standard Webhooks: taken, and {len(refused)} kinds of forgery refused")
