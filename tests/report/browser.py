"""Headless Chromium driven through its driver (WebDriver, https://www.w3.org/TR/webdriver2/), without a network."""

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
FLAGS = (
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-dev-shm-usage',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-extensions',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', '--force-color-profile=srgb', '--no-proxy-server',
)  # fmt: skip
KEYS = dict(Escape='\ue00c', ArrowLeft='\ue012', ArrowRight='\ue014', Tab='\ue004', Enter='\ue007')
_ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'


def missing():
    """Why no browser can be driven here; None if one can."""
    if not any(map(shutil.which, NAMES)):
        return 'no Chromium: bash tools/setup_browser.sh installs it'
    if not shutil.which('chromedriver'):
        return 'no chromedriver: bash tools/setup_browser.sh installs it'
    return None


class Browser:
    """A window; wait for what is to be seen with `until`."""

    def __init__(self, width=1300, height=900, dark=False):
        self._folder = tempfile.mkdtemp(prefix='browser-')
        with socket.create_server(('127.0.0.1', 0)) as free:
            port = free.getsockname()[1]
        self._driver = subprocess.Popen(
            ['chromedriver', f'--port={port}'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self._base, self._session = f'http://127.0.0.1:{port}', ''
        self._wait_for_driver()
        args = [*FLAGS, f'--user-data-dir={self._folder}', f'--window-size={width},{height}']
        if dark:
            args.append('--force-dark-mode')
        options = {'binary': next(filter(None, map(shutil.which, NAMES))), 'args': args}
        wanted = {
            'goog:chromeOptions': options,
            'goog:loggingPrefs': {'browser': 'ALL'},
            'browserName': 'chrome',
        }
        answer = self._ask('POST', '/session', dict(capabilities=dict(alwaysMatch=wanted)))
        self._session = f'/session/{answer["sessionId"]}'

    def _wait_for_driver(self, seconds=60):
        end = time.monotonic() + seconds
        while True:
            try:
                if self._ask('GET', '/status')['ready']:
                    return
            except OSError:
                if self._driver.poll() is not None or time.monotonic() > end:
                    raise RuntimeError('chromedriver does not answer') from None
                time.sleep(0.1)

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + self._session + path, data, method=method)
        request.add_header('Content-Type', 'application/json')
        try:
            with self._open(request, timeout=120) as answer:
                return json.load(answer)['value']
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()[:600]) from None

    def close(self):
        try:
            self._ask('DELETE', '')
        finally:
            self._driver.terminate()
            self._driver.wait(20)
            shutil.rmtree(self._folder, ignore_errors=True)

    def go(self, path, state=''):
        """Open a report's folder (or an address) anew, at a state of the page."""
        address = path if str(path).startswith('http') else (Path(path) / 'index.html').resolve().as_uri()
        self._ask('POST', '/url', dict(url='about:blank'))
        self._ask('POST', '/url', dict(url=f'{address}#{state}'))

    def run(self, script, *args):
        """The value of a script's ``return``; promises are awaited."""
        return self._ask('POST', '/execute/sync', dict(script=script, args=list(args)))

    def until(self, script, *args, seconds=60):
        """Wait until a script returns what is true, and return it."""
        end = time.monotonic() + seconds
        while True:
            found = self.run(script, *args)
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f'not seen within {seconds} s: {script}')
            time.sleep(0.05)

    def press(self, key, selector=None):
        """A key, to what has the focus or to an element."""
        if selector:
            self.run('document.querySelector(arguments[0]).focus()', selector)
        element = self._ask('GET', '/element/active')[_ELEMENT]
        self._ask('POST', f'/element/{element}/value', dict(text=KEYS.get(key, key)))

    def click(self, selector):
        found = self._ask('POST', '/element', {'using': 'css selector', 'value': selector})[_ELEMENT]
        self._ask('POST', f'/element/{found}/click', {})

    def size(self, width, height):
        self._ask('POST', '/window/rect', dict(width=width, height=height))

    def devtools(self, command, **params):
        return self._ask('POST', '/goog/cdp/execute', dict(cmd=command, params=params))

    def picture(self, path):
        Path(path).write_bytes(base64.b64decode(self._ask('GET', '/screenshot')))

    def console(self):
        """What was said since the last time, but for information."""
        return [
            entry['message']
            for entry in self._ask('POST', '/se/log', dict(type='browser'))
            if entry['level'] != 'INFO'
        ]
