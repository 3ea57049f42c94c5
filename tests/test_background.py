import errno
from threading import Event, current_thread

from pytest_hypersearch.engine.artifacts import Background


def test_jobs_are_done_in_their_order_while_the_caller_goes_on():
    go, done = Event(), []
    background = Background(done.append)
    background.submit(go.wait)
    for number in range(3):
        background.submit(lambda number=number: done.append((number, current_thread().name)))
    assert done == []
    go.set()
    background.wait()
    assert [number for number, _ in done] == [0, 1, 2]
    assert current_thread().name not in {name for _, name in done}
    background.close()


def test_a_failed_job_is_one_warning_and_those_after_it_are_done():
    warnings, done = [], []
    background = Background(warnings.append)

    def fail():
        raise OSError(errno.ENOSPC, "No space left on device", "/disk/model")

    background.submit(fail)
    background.submit(fail)
    background.submit(lambda: done.append(1))
    background.close()
    assert done == [1]
    assert warnings == [
        "the best trials' files are not up to date: /disk/model: No space left on device"
    ]


def test_without_jobs_there_is_nothing_to_wait_for():
    background = Background(print)
    background.wait()
    background.close()
    background.submit(lambda: None)
    background.close()
