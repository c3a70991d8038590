#!/usr/bin/env bash
# A browser for tests/report: Debian's Chromium with its driver, where none is there and this user may install it.
# Without one these tests are skipped, with the reason.
set -euo pipefail
have() { command -v "$1" >/dev/null 2>&1; }
if have chromedriver && { have chromium || have chromium-browser || have google-chrome; }; then
    exit 0
elif [ "$(id -u)" = 0 ] && have apt-get; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        chromium chromium-driver fonts-dejavu-core >/dev/null || echo 'setup: no Chromium could be installed' >&2
else
    echo 'setup: no Chromium with chromedriver, and no root to install them' >&2
fi
