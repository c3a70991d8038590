"""A door of ``mmroad scores save``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['scores', 'save'])
