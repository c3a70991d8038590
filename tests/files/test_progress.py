"""The one progress bar."""

import io

from rich.console import Console

from mmroad.files import progress


def seen(monkeypatch, work, **options):
    """What a terminal 120 wide shows of some work."""
    text = io.StringIO()
    monkeypatch.setattr(
        'rich.console.Console', lambda **_: Console(file=text, width=120, force_terminal=True)
    )
    work()
    return text.getvalue()


def test_a_bar_tells_title_number_rate_and_rest(monkeypatch):
    def work():
        with progress.bar() as bar:
            task = bar.add_task('Reading', total=40)
            for _ in range(20):
                bar.advance(task)
                bar.tasks[0]._progress[-1] = (
                    bar.tasks[0]
                    ._progress[-1]
                    ._replace(timestamp=bar.tasks[0].start_time + len(bar.tasks[0]._progress) / 10)
                )
            bar.refresh()

    text = seen(monkeypatch, work)
    assert 'Reading' in text and '20/40' in text and '/s' in text and '0:00:0' in text


def test_rows_pass_through(monkeypatch):
    found = []
    seen(monkeypatch, lambda: found.extend(progress.track(iter('abc'), 'Letters', 3)))
    assert found == ['a', 'b', 'c']


def test_what_is_no_terminal_stays_empty(capsys):
    assert list(progress.track([1, 2], 'Numbers')) == [1, 2]
    with progress.steps('Steps', 2) as advance:
        advance()
    said = capsys.readouterr()
    assert said.out == said.err == ''
