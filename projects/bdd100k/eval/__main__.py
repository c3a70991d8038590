"""``python -m mmroad.bdd100k.eval -t det -g GT -r RESULT``: a door of ``mmroad eval``."""

from ...commands.eval import main

if __name__ == '__main__':
    main()
