"""A door of ``mmroad plot``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['plot'])
