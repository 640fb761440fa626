"""Python's diskcache on the same work as `disk`: prints microseconds per operation.

    python3 diskcache_peer.py FOLDER fill|get|set LENGTH COUNT OPERATIONS
"""

import random
import sys
import time

import diskcache


def text(index):
    return f"customer:{index:09}"


def main():
    folder, what, length, count, operations = sys.argv[1:]
    length, count, operations = int(length), int(count), int(operations)
    cache = diskcache.Cache(folder, size_limit=4 << 30)
    value = bytes(length)
    if what == "fill":
        with cache.transact():
            for index in range(count):
                cache.set(text(index), value)
        return
    keys = [text(random.randrange(count)) for _ in range(operations)]
    start = time.perf_counter()
    if what == "get":
        for key in keys:
            assert len(cache.get(key)) == length
    else:
        for key in keys:
            cache.set(key, value)
    print((time.perf_counter() - start) * 1e6 / operations)


main()
