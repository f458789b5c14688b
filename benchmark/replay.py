"""python replay.py FILE SECONDS: send the requests in FILE again and again over two connections; print how many a second.

A process of its own, so that it takes none of the time of the one that answers.
"""

import http.client
import pickle
import sys
import threading
import time
from pathlib import Path

noted = pickle.loads(Path(sys.argv[1]).read_bytes())
requests = [(method, url.partition("//")[2], headers, body) for method, url, headers, body in noted]
host = requests[0][1].partition("/")[0]
until = time.monotonic() + float(sys.argv[2])
answered: list[int] = []


def send() -> None:
    connection, count = http.client.HTTPConnection(host), 0
    while time.monotonic() < until:
        method, place, headers, body = requests[count % len(requests)]
        connection.request(method, place.removeprefix(host), body, headers)
        connection.getresponse().read()
        count += 1
    answered.append(count)


threads = [threading.Thread(target=send) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sum(answered) / float(sys.argv[2]))
