"""List the models of the zoo as a table: mmroad list ['*convnext*']"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('pattern', nargs='?', default='*', help='shell pattern of names')


def run(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..zoo.configs import find_model, list_models

    table = Table('model', 'data', 'results (published)', 'parameters')
    for name in list_models(args.pattern):
        model = find_model(name)
        results = [r for r in model.get('Results') or [] if r.get('Source') == 'published']
        data = ', '.join(dict.fromkeys(r['Dataset'] for r in results))
        numbers = '; '.join(', '.join(f'{k} {v}' for k, v in r['Metrics'].items()) for r in results)
        parameters = (model.get('Metadata') or {}).get('Parameters', '')
        table.add_row(name, data, numbers, str(parameters))
    Console(width=None if Console().is_terminal else 160).print(table)
    print(f'{table.row_count} models')
