"""A thread that outlives its test."""

import threading


# [bad]
def test_bad():
    stop = threading.Event()
    threading.Thread(target=stop.wait, args=(2,)).start()  # here


# [bad end]


# [good]
def test_good():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    stop.set()
    thread.join()


# [good end]
