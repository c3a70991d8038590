"""A door of ``mmroad export``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['export'])
